package api

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// services are the names that requests may be signed for. Both services sign as ivs; some clients take the endpoint's
// name instead (spec/api-conventions.md §1).
var services = []string{"ivs", "ivsrealtime"}

// otherService is the AWS service that a request is meant for when that is not one of ours: with AWS_ENDPOINT_URL set,
// clients send every service here. It believes the signature's scope, since all that follows is a refusal.
func otherService(r *http.Request) (name string, other bool) {
	rest, signed := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-")
	if !signed {
		return "", false
	}
	_, credential, _ := strings.Cut(rest, "Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	scope, whole := strings.CutSuffix(credential, "/aws4_request")
	name = scope[strings.LastIndexByte(scope, '/')+1:]
	return name, whole && isServiceName(name) && !slices.Contains(services, name)
}

// isServiceName reports whether a name can go into any format as it is.
func isServiceName(s string) bool {
	const most = 64 // AWS's have up to 40
	return 0 < len(s) && len(s) <= most && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// refuseOther answers in the protocol of a service that is not here, so that its client shows what we say. It is no 404,
// which clients of S3 would take for an object that does not exist.
func refuseOther(w http.ResponseWriter, r *http.Request, service, id string) {
	e := newError("NotImplementedException", http.StatusNotImplemented,
		"Footlight serves ivs and ivs-realtime only, not %s. Call other services without the AWS_ENDPOINT_URL of 'footlight env'.", service)
	kind, body := otherAnswer(r, service, e, id)
	if kind == cborType {
		w.Header().Set("Smithy-Protocol", cborProtocol)
	}
	w.Header().Set("X-Amzn-Errortype", e.Code)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // who has gone away needs no answer
}

const (
	cborProtocol = "rpc-v2-cbor"
	cborType     = "application/cbor"
)

// The errors of the protocols in XML: code, message, request id (Smithy, "AWS restXml", "AWS query" and "AWS EC2 query"
// protocol).
const (
	s3Error    = xml.Header + `<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>`
	queryError = xml.Header + `<ErrorResponse><Error><Type>Receiver</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`
	ec2Error   = xml.Header + `<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>`
)

// otherAnswer is an error in the protocol of a request, with its content type. Nothing in it needs escaping.
func otherAnswer(r *http.Request, service string, e *Error, id string) (kind string, body []byte) {
	inXML := func(format string) (string, []byte) {
		return "text/xml", fmt.Appendf(nil, format, e.Code, e.Message, id)
	}
	form := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	switch {
	case r.Header.Get("Smithy-Protocol") == cborProtocol:
		return cborType, appendCBORError(nil, e)
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json-1.0"):
		return "application/x-amz-json-1.0", appendRPCError(nil, e)
	case r.Header.Get("X-Amz-Target") != "":
		return "application/x-amz-json-1.1", appendRPCError(nil, e)
	case slices.Contains([]string{"s3", "s3express", "s3-object-lambda", "s3-outposts"}, service):
		return inXML(s3Error)
	case form && service == "ec2":
		return inXML(ec2Error)
	case form, service == "route53", service == "cloudfront":
		return inXML(queryError)
	}
	return "application/json", appendError(nil, e)
}

// appendRPCError writes the error of the protocols AWS JSON 1.0 and 1.1.
func appendRPCError(b []byte, e *Error) []byte {
	b = append(b, '{')
	b = StringMember(b, `"__type":`, &e.Code)
	b = StringMember(b, `"message":`, &e.Message)
	return EndObject(b)
}

// appendCBORError writes the same as a map of two text strings (RFC 8949; Smithy RPC v2 CBOR).
func appendCBORError(b []byte, e *Error) []byte {
	const mapOfTwo, text16 = 0xa2, 0x79 // a text whose length takes two bytes
	b = append(b, mapOfTwo)
	for _, text := range []string{"__type", e.Code, "message", e.Message} {
		b = append(binary.BigEndian.AppendUint16(append(b, text16), uint16(len(text))), text...)
	}
	return b
}
