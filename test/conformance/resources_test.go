package conformance

import (
	"maps"
	"slices"
)

// resource is a kind that one can create, with its operations and what they say.
type resource struct {
	kind                              string // in ARNs
	create, get, list, update, delete string // operations; "" where there is none
	member, listed                    string // of the outputs
	service                           string
	minimal                           func(w *world) M // what creating takes at least
	defaults                          M                // the whole of what that gives
	full                              func(w *world) M // all that creating takes; what is given comes back
	updated                           func(w *world) M // what an update changes
	pages                             bool             // there can be several
}

var noTags = M{}

// resources are all kinds but stream keys and compositions, which have scenarios of their own.
var resources = []resource{
	{
		kind: "channel", service: "ivs", member: "channel", listed: "channels", pages: true,
		create: "CreateChannel", get: "GetChannel", list: "ListChannels", update: "UpdateChannel", delete: "DeleteChannel",
		defaults: M{
			"arn": "~arn:.*", "name": "", "type": "STANDARD", "latencyMode": "LOW", "authorized": false, "insecureIngest": false, "preset": "",
			"recordingConfigurationArn": "", "playbackRestrictionPolicyArn": "", "adConfigurationArn": "", "containerFormat": "TS",
			"multitrackInputConfiguration": M{"enabled": false, "maximumResolution": "FULL_HD", "policy": "ALLOW"},
			"ingestEndpoint":               "~.+:\\d+", "srt": M{"endpoint": "~.+:\\d+", "passphrase": "~.{10,79}"}, "playbackUrl": "~http.*/api/video/v1/us-east-1\\.000000000000\\.channel\\.[A-Za-z0-9]{12}\\.m3u8", "tags": noTags,
		},
		full: func(w *world) M {
			return M{"name": "a-Z_9", "type": "BASIC", "latencyMode": "NORMAL", "authorized": true, "insecureIngest": true,
				"containerFormat": "TS", "adConfigurationArn": w.Ads,
				"multitrackInputConfiguration": M{"enabled": false, "maximumResolution": "HD", "policy": "REQUIRE"}}
		},
		updated: func(*world) M {
			return M{"name": "new", "type": "STANDARD", "latencyMode": "LOW", "authorized": false, "insecureIngest": false, "adConfigurationArn": "",
				"containerFormat":              "FRAGMENTED_MP4",
				"multitrackInputConfiguration": M{"enabled": true, "maximumResolution": "SD", "policy": "ALLOW"}}
		},
	},
	{
		kind: "playback-key", service: "ivs", member: "keyPair", listed: "keyPairs", pages: true,
		create: "ImportPlaybackKeyPair", get: "GetPlaybackKeyPair", list: "ListPlaybackKeyPairs", delete: "DeletePlaybackKeyPair",
		minimal:  func(*world) M { return M{"publicKeyMaterial": newPublicKey()} },
		defaults: M{"arn": "~arn:.*", "name": "", "fingerprint": "~([0-9a-f]{2}:){15}[0-9a-f]{2}", "tags": noTags},
		full:     func(*world) M { return M{"publicKeyMaterial": newPublicKey(), "name": "a-Z_9"} },
	},
	{
		kind: "playback-restriction-policy", service: "ivs", member: "playbackRestrictionPolicy", listed: "playbackRestrictionPolicies", pages: true,
		create: "CreatePlaybackRestrictionPolicy", get: "GetPlaybackRestrictionPolicy", list: "ListPlaybackRestrictionPolicies",
		update: "UpdatePlaybackRestrictionPolicy", delete: "DeletePlaybackRestrictionPolicy",
		defaults: M{"arn": "~arn:.*", "name": "", "allowedCountries": []any{}, "allowedOrigins": []any{}, "enableStrictOriginEnforcement": false, "tags": noTags},
		full: func(*world) M {
			return M{"name": "a-Z_9", "allowedOrigins": []any{"https://example.com", "https://*.example.org"}, "enableStrictOriginEnforcement": true}
		},
		updated: func(*world) M {
			return M{"name": "new", "allowedOrigins": []any{}, "enableStrictOriginEnforcement": false}
		},
	},
	{
		kind: "ad-configuration", service: "ivs", member: "adConfiguration", listed: "adConfigurations", pages: true,
		create: "CreateAdConfiguration", get: "GetAdConfiguration", list: "ListAdConfigurations", delete: "DeleteAdConfiguration",
		minimal:  func(*world) M { return M{"mediaTailorPlaybackConfigurations": tailor()} },
		defaults: M{"arn": "~arn:.*", "name": "", "mediaTailorPlaybackConfigurations": tailor(), "tags": noTags},
		full: func(*world) M {
			return M{"name": "a-Z_9", "mediaTailorPlaybackConfigurations": slices.Repeat(tailor(), 3)}
		},
	},
	{
		kind: "recording-configuration", service: "ivs", member: "recordingConfiguration", listed: "recordingConfigurations", pages: true,
		create: "CreateRecordingConfiguration", get: "GetRecordingConfiguration", list: "ListRecordingConfigurations", delete: "DeleteRecordingConfiguration",
		minimal: func(w *world) M { return M{"destinationConfiguration": M{"s3": M{"bucketName": w.Bucket}}} },
		defaults: M{
			"arn": "~arn:.*", "name": "", "state": "ACTIVE", "destinationConfiguration": M{"s3": M{"bucketName": "recordings"}}, "recordingReconnectWindowSeconds": 0,
			"thumbnailConfiguration": M{"recordingMode": "INTERVAL", "targetIntervalSeconds": 60, "storage": []any{"SEQUENTIAL"}},
			"renditionConfiguration": M{"renditionSelection": "ALL", "renditions": []any{}}, "tags": noTags,
		},
		full: func(w *world) M {
			return M{"name": "a-Z_9", "destinationConfiguration": M{"s3": M{"bucketName": w.Bucket}}, "recordingReconnectWindowSeconds": 300,
				"thumbnailConfiguration": M{"recordingMode": "INTERVAL", "targetIntervalSeconds": 1, "resolution": "HD", "storage": []any{"SEQUENTIAL", "LATEST"}},
				"renditionConfiguration": M{"renditionSelection": "CUSTOM", "renditions": []any{"SD", "HD"}}}
		},
	},
	{
		kind: "stage", service: "ivs-realtime", member: "stage", listed: "stages", pages: true,
		create: "CreateStage", get: "GetStage", list: "ListStages", update: "UpdateStage", delete: "DeleteStage",
		defaults: M{
			"arn": "~arn:.*", "name": "", "tags": noTags,
			"endpoints": M{"events": "~ws.*/events", "whip": "~http.*/whip", "rtmp": "~rtmp://.*/app/", "rtmps": "~rtmps://.*/app/"},
			"autoParticipantRecordingConfiguration": M{"storageConfigurationArn": "", "mediaTypes": []any{"AUDIO_VIDEO"}, "recordingReconnectWindowSeconds": 0,
				"recordParticipantReplicas": true, "hlsConfiguration": M{"targetSegmentDurationSeconds": 6},
				"thumbnailConfiguration": M{"recordingMode": "DISABLED", "targetIntervalSeconds": 60, "storage": []any{"SEQUENTIAL"}}},
		},
		full:    func(*world) M { return M{"name": "a-Z_9"} },
		updated: func(*world) M { return M{"name": "new"} },
	},
	{
		kind: "encoder-configuration", service: "ivs-realtime", member: "encoderConfiguration", listed: "encoderConfigurations", pages: true,
		create: "CreateEncoderConfiguration", get: "GetEncoderConfiguration", list: "ListEncoderConfigurations", delete: "DeleteEncoderConfiguration",
		defaults: M{"arn": "~arn:.*", "name": "", "video": M{"width": 1280, "height": 720, "framerate": 30, "bitrate": 2500000}, "tags": noTags},
		full: func(*world) M {
			return M{"name": "a-Z_9", "video": M{"width": 1080, "height": 1920, "framerate": 29.97, "bitrate": 8500000}}
		},
	},
	{
		kind: "storage-configuration", service: "ivs-realtime", member: "storageConfiguration", listed: "storageConfigurations", pages: true,
		create: "CreateStorageConfiguration", get: "GetStorageConfiguration", list: "ListStorageConfigurations", delete: "DeleteStorageConfiguration",
		minimal:  func(w *world) M { return M{"s3": M{"bucketName": w.Bucket}} },
		defaults: M{"arn": "~arn:.*", "name": "", "s3": M{"bucketName": "recordings"}, "tags": noTags},
		full:     func(w *world) M { return M{"name": "a-Z_9", "s3": M{"bucketName": w.Bucket}} },
	},
	{
		kind: "public-key", service: "ivs-realtime", member: "publicKey", listed: "publicKeys", pages: true,
		create: "ImportPublicKey", get: "GetPublicKey", list: "ListPublicKeys", delete: "DeletePublicKey",
		minimal:  func(*world) M { return M{"publicKeyMaterial": newPublicKey()} },
		defaults: M{"arn": "~arn:.*", "name": "", "publicKeyMaterial": "~(?s)-----BEGIN.*", "fingerprint": "~([0-9a-f]{2}:){15}[0-9a-f]{2}", "tags": noTags},
		full:     func(*world) M { return M{"publicKeyMaterial": newPublicKey(), "name": "a-Z_9"} },
	},
	{
		kind: "ingest-configuration", service: "ivs-realtime", member: "ingestConfiguration", listed: "ingestConfigurations", pages: true,
		create: "CreateIngestConfiguration", get: "GetIngestConfiguration", list: "ListIngestConfigurations", update: "UpdateIngestConfiguration", delete: "DeleteIngestConfiguration",
		minimal: func(*world) M { return M{"ingestProtocol": "RTMPS"} },
		full: func(w *world) M {
			return M{"name": "a-Z_9", "ingestProtocol": "RTMP", "insecureIngest": true, "stageArn": w.Stage, "userId": "ü ser", "attributes": M{"side": "left"}}
		},
		updated: func(*world) M { return M{"stageArn": ""} },
	},
}

// inputOnly are members of a request that no answer repeats.
var inputOnly = map[string]bool{"insecureIngest": true, "publicKeyMaterial": true}

// lifecycles take each kind of resource through its operations.
func lifecycles(c *check) {
	for _, r := range resources {
		c.run(r.kind, func(c *check) { r.live(c) })
	}
}

func (r resource) live(c *check) {
	minimal := M{}
	if r.minimal != nil {
		minimal = r.minimal(c.world)
	}
	created := at(c.do(r.create, minimal), r.member)
	if r.defaults != nil {
		c.is("what "+r.create+" fills in", created, r.defaults)
	}
	c.shows("defaults", r.create)
	c.is("the ARN", str(created, "arn"), "~arn:aws:ivs:us-east-1:000000000000:"+r.kind+"/[A-Za-z0-9]{12}")
	c.refused("ResourceNotFoundException", r.get, M{"arn": none(r.kind)})

	full := r.full(c.world)
	full["tags"] = M{"team": "live", "empty": "", "ünïcode key": "=+-@:/._ é"}
	made := at(c.do(r.create, full), r.member)
	arn := M{"arn": str(made, "arn")}
	for name, value := range full {
		if _, repeated := at(made).(M)[name]; repeated || !inputOnly[name] {
			c.has(r.create+" repeats "+name, at(made, name), value)
		}
	}
	stable := func(when string, want any) {
		c.Helper()
		c.is(r.get+" "+when, at(c.do(r.get, arn), r.member), want)
		c.has(r.list+" "+when, want, at(r.find(c, str(arn, "arn"))))
	}
	stable("after "+r.create, made)
	c.shows("effect", r.create, r.get, r.list)
	c.shows("round trip", r.create, r.get, r.list)

	if r.update != "" {
		c.update(r, arn, full, made)
	}
	c.tags(r, arn)
	if r.pages {
		c.pages(r.list, nil, r.listed, "arn", []string{str(created, "arn"), str(made, "arn")})
	}
	c.do(r.delete, arn)
	c.refused("ResourceNotFoundException", r.get, arn)
	c.refused("ResourceNotFoundException", r.delete, arn)
	if r.find(c, str(arn, "arn")) != nil {
		c.Errorf("%s shows what was deleted", r.list)
	}
	c.shows("effect", r.delete)
	c.do(r.delete, M{"arn": str(created, "arn")})
}

// update changes a resource: to what it is, which changes nothing; to something else, which the other operations show;
// and back.
func (c *check) update(r resource, arn, full M, made any) {
	c.Helper()
	with := func(changes M) M {
		in := maps.Clone(arn)
		for name, value := range changes {
			if _, ok := c.operations.find(c.T, r.update).shape(c.operations.find(c.T, r.update).Input).Members[name]; ok {
				in[name] = value
			}
		}
		return in
	}
	c.is(r.update+" with nothing", at(c.do(r.update, arn), r.member), made)
	c.is(r.update+" to what it is", at(c.do(r.update, with(full)), r.member), made)
	c.shows("round trip", r.update)
	changes := r.updated(c.world)
	changed := at(c.do(r.update, with(changes)), r.member)
	c.has(r.update, changed, changes)
	c.is(r.get+" after "+r.update, at(c.do(r.get, arn), r.member), changed)
	c.shows("effect", r.update)
	c.is(r.update+" back", at(c.do(r.update, with(full)), r.member), made)
	c.is(r.get+" after going back", at(c.do(r.get, arn), r.member), made)
	c.refused("ResourceNotFoundException", r.update, func() M { in := with(changes); in["arn"] = none(r.kind); return in }())
}

// find is a resource's entry in its list, which is read to the end.
func (r resource) find(c *check, arn string) any {
	c.Helper()
	in := M{"maxResults": 100}
	if op := c.operations.find(c.T, r.list); op.shape(op.shape(op.Input).Members["maxResults"].Shape).Max != nil {
		in["maxResults"] = int(*op.shape(op.shape(op.Input).Members["maxResults"].Shape).Max)
	}
	for {
		page := c.do(r.list, in)
		for _, item := range list(page, r.listed) {
			if str(item, "arn") == arn {
				return item
			}
		}
		if page["nextToken"] == nil {
			return nil
		}
		in["nextToken"] = page["nextToken"]
	}
}

// tags changes the tags of a resource and looks at them in every way there is.
func (c *check) tags(r resource, arn M) {
	c.Helper()
	resource := M{"resourceArn": str(arn, "arn")}
	now := func(want M) {
		c.Helper()
		c.is("the tags in ListTagsForResource", at(c.do(r.service+" ListTagsForResource", resource), "tags"), want)
		c.is("the tags in "+r.get, at(c.do(r.get, arn), r.member, "tags"), want)
	}
	with := func(name string, value any) M {
		return M{"resourceArn": str(arn, "arn"), name: value}
	}
	now(M{"team": "live", "empty": "", "ünïcode key": "=+-@:/._ é"})
	c.do(r.service+" TagResource", with("tags", M{"team": "late", "more": "1"}))
	now(M{"team": "late", "more": "1", "empty": "", "ünïcode key": "=+-@:/._ é"})
	c.do(r.service+" UntagResource", with("tagKeys", []any{"empty", "ünïcode key", "never there"}))
	now(M{"team": "late", "more": "1"})
	c.do(r.service+" UntagResource", with("tagKeys", []any{"never there"}))
	c.refused("ValidationException", r.service+" TagResource", with("tags", entries(49)))
	c.refused("ValidationException", r.service+" TagResource", with("tags", M{"aws:own": "no"}))
	now(M{"team": "late", "more": "1"})
	c.do(r.service+" TagResource", with("tags", entries(48)))
	c.do(r.service+" UntagResource", with("tagKeys", slices.Collect(func(yield func(any) bool) {
		for key := range entries(48) {
			if !yield(key) {
				return
			}
		}
	})))
	c.shows("effect", r.service+" ListTagsForResource", r.service+" TagResource", r.service+" UntagResource")
	c.shows("tags", r.create)
	for _, name := range []string{" ListTagsForResource", " TagResource", " UntagResource"} {
		in := M{"resourceArn": none(r.kind)}
		switch name {
		case " TagResource":
			in["tags"] = M{"a": "b"}
		case " UntagResource":
			in["tagKeys"] = []any{"a"}
		}
		c.refused("ResourceNotFoundException", r.service+name, in)
	}
}

// pages reads a list to its end in pages of one and of two, and compares it with the whole. Of what must be there,
// each comes exactly once, in the same order.
func (c *check) pages(op string, in M, listed, id string, want []string) {
	c.Helper()
	read := func(size int) (ids []string) {
		page := maps.Clone(in)
		if page == nil {
			page = M{}
		}
		page["maxResults"] = size
		for n := 0; ; n++ {
			out := c.do(op, page)
			if got := len(list(out, listed)); got > size {
				c.Fatalf("%s: a page of %d has %d", op, size, got)
			}
			for _, item := range list(out, listed) {
				ids = append(ids, str(item, id))
			}
			if out["nextToken"] == nil {
				return ids
			}
			if n > 5000 {
				c.Fatalf("%s does not end", op)
			}
			page["nextToken"] = out["nextToken"]
		}
	}
	shape := c.operations.find(c.T, op)
	largest := int(*shape.shape(shape.shape(shape.Input).Members["maxResults"].Shape).Max)
	whole := read(largest)
	for _, size := range []int{largest/2 + 1, 7, 2, 1} {
		if len(whole)/size > 200 {
			continue // small pages of a long list show nothing more
		}
		if got := read(size); !slices.Equal(got, whole) {
			c.Errorf("%s in pages of %d gives %v, in large ones %v", op, size, got, whole)
		}
	}
	for _, one := range want {
		if n := len(slices.DeleteFunc(slices.Clone(whole), func(s string) bool { return s != one })); n != 1 {
			c.Errorf("%s has %s %d times", op, one, n)
		}
	}
	token := maps.Clone(in)
	if token == nil {
		token = M{}
	}
	token["nextToken"] = "AAAA"
	c.refused("ValidationException", op, token)
	c.shows("pages", op)
}
