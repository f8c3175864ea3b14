package api

import (
	"context"
	"net/url"
)

// Input is a request of one operation.
type Input interface {
	// Validate returns a ValidationException that names every member that breaks its rule.
	Validate() error
}

// Operation is one row of the route table.
type Operation struct {
	Service string // package of the API: ivs or ivsrealtime
	Name    string
	Method  string
	Path    string // /<Name>, or /tags/{resourceArn}
	Status  int    // of a success; 204 has no body

	// New returns an empty input to decode into.
	New func() Input
	// Call runs the operation; the output is nil when the response has no members.
	Call func(ctx context.Context, in Input) (Output, error)

	bind func(in Input, label string, query url.Values)
}

// Bind returns the operation with the function that fills the members from the path's label
// (unescaped) and the query.
func (o Operation) Bind(f func(in Input, label string, query url.Values)) Operation {
	o.bind = f
	return o
}

// Route makes the row of an operation with an output.
func Route[I any, In interface {
	*I
	Input
}, O any, Out interface {
	*O
	Output
}](service, name, method, path string, status int, call func(context.Context, In) (Out, error)) Operation {
	return Operation{
		Service: service, Name: name, Method: method, Path: path, Status: status,
		New: func() Input { return In(new(I)) },
		Call: func(ctx context.Context, in Input) (Output, error) {
			out, err := call(ctx, in.(In))
			if err != nil || out == nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// RouteEmpty makes the row of an operation without an output.
func RouteEmpty[I any, In interface {
	*I
	Input
}](service, name, method, path string, status int, call func(context.Context, In) error) Operation {
	return Operation{
		Service: service, Name: name, Method: method, Path: path, Status: status,
		New:  func() Input { return In(new(I)) },
		Call: func(ctx context.Context, in Input) (Output, error) { return nil, call(ctx, in.(In)) },
	}
}
