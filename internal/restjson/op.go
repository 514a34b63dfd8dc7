// Package restjson binds typed operations to the AWS REST-JSON protocol.
//
// An operation is an Op: its name, its route, what it needs permission for and
// the function that does it. New turns it into a Row; a table of rows is given
// to NewHandler, which serves it, and to the command line, which derives its
// sub-commands from Row.Fields. Package awsquery serves the same rows in the
// AWS Query protocol.
//
// Every request takes one way: authenticate, decode, validate, ask Access,
// authorise, Do, encode. Authorisation comes before anything is looked up, so
// a caller without permission learns nothing about what exists.
//
// Struct tags bind the members of inputs and outputs:
//
//	query:"domain-owner"           a query parameter (inputs)
//	header:"X-AssetName"           a header
//	json:"name"                    a member of the JSON body
//	body:"stream"                  the body itself, an io.ReadCloser
//	required:"true"                absent is a ValidationException (inputs)
//	validate:"DomainName"          the Shape it must satisfy (inputs)
//
// The surprises: an empty query parameter is an absent one; of a repeated
// parameter the first counts; unknown parameters and JSON members are ignored;
// a repeated JSON member is refused. The empty string is an absent member
// too, unless the field is a pointer: use *string where "" and absent differ,
// and pointers for all numbers.
package restjson

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"time"
)

// Need is one permission an operation asks for.
type Need struct {
	Action       string              // "codeartifact:DescribeDomain"
	Resource     string              // ARN; "*" for actions without a resource
	IdentityOnly bool                // the policy of the resource itself is left out (PutDomainPermissionsPolicy)
	Context      map[string][]string // condition keys of the request: aws:RequestTag/KEY, aws:TagKeys, sts:DurationSeconds
}

// Call is what an operation knows of its caller besides the input.
type Call struct {
	Principal any        // what Authenticate gave
	Operation string     // name of the row
	Source    string     // the service as audit trails name it: codeartifact.amazonaws.com
	Input     any        // *In once decoded, for the audit trail; nil before
	Output    any        // *Out once done, for the audit trail; nil before
	RequestID string     // shown to the client as x-amzn-RequestId
	SourceIP  netip.Addr // of the client, as far as known
	UserAgent string
	Secure    bool // the client speaks TLS
	Time      time.Time
	Length    int64 // bytes of the input's stream, as the request announces them; 0 or less: not known
}

// Op is one operation. Method and Path are matched exactly; operations of the
// Query protocol have the Path "/".
type Op[In, Out any] struct {
	Name, Method, Path string

	// Access lists the permissions a call needs; all of them must be given.
	// It must not look anything up. No needs: every authenticated caller may.
	Access func(c *Call, in *In) []Need

	// Do runs after validation and authorisation. Its errors are of package
	// fault, or unclassified and then internal.
	Do func(ctx context.Context, c *Call, in *In) (*Out, error)

	Doc string // one line for the help of the command line

	// Unsigned operations are done for callers without credentials too: the
	// Call has no Principal then. Package awsquery alone knows such operations.
	Unsigned bool
}

// Row is an Op with its types erased. It is immutable.
type Row struct{ *row }

type row struct {
	name, method, path, doc string
	unsigned                bool

	in, out  types
	newInput func() any
	access   func(*Call, any) []Need
	do       func(context.Context, *Call, any) (any, error)
}

// New makes a row. It panics when the operation has no Name, Method, Path,
// Access or Do, or when a member of In or Out has an unknown tag or a type
// that cannot be bound: such an operation must not start.
func New[In, Out any](op Op[In, Out]) Row {
	if op.Name == "" || op.Method == "" || op.Path == "" {
		panic(fmt.Sprintf("restjson: operation %q %q %q: name, method and path are required", op.Name, op.Method, op.Path))
	}
	if op.Access == nil || op.Do == nil {
		panic(fmt.Sprintf("restjson: operation %s: Access and Do are required", op.Name))
	}
	r := &row{
		name: op.Name, method: op.Method, path: op.Path, doc: op.Doc, unsigned: op.Unsigned,
		newInput: func() any { return new(In) },
		access:   func(c *Call, in any) []Need { return op.Access(c, in.(*In)) },
		do: func(ctx context.Context, c *Call, in any) (any, error) {
			out, err := op.Do(ctx, c, in.(*In))
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = new(Out)
			}
			return out, nil
		},
	}
	var err error
	if r.in, err = inspect(reflect.TypeFor[In](), input); err != nil {
		panic(fmt.Sprintf("restjson: operation %s: input: %v", op.Name, err))
	}
	if r.out, err = inspect(reflect.TypeFor[Out](), output); err != nil {
		panic(fmt.Sprintf("restjson: operation %s: output: %v", op.Name, err))
	}
	return Row{r}
}

// Name is the operation's name, as in CreateDomain.
func (r Row) Name() string { return r.name }

// Method is the HTTP method.
func (r Row) Method() string { return r.method }

// Path is the path below the root of the API.
func (r Row) Path() string { return r.path }

// Doc is the operation in one line; it may be empty.
func (r Row) Doc() string { return r.doc }

// Unsigned tells whether callers need no credentials.
func (r Row) Unsigned() bool { return r.unsigned }

// NewInput makes an empty *In.
func (r Row) NewInput() any { return r.newInput() }

// Decode makes an *In of a JSON body, for protocols in which that is all of the
// input. Errors are fault.Invalid.
func (r Row) Decode(body []byte) (any, error) {
	in := r.newInput()
	return in, decodeJSON(body, reflect.ValueOf(in).Elem(), r.in)
}

// Fields lists the members of the input in their order of declaration.
func (r Row) Fields() []Field { return fields(r.in) }

// OutputFields lists the members of the output.
func (r Row) OutputFields() []Field { return fields(r.out) }

// InputStream tells whether the request's body is one stream of bytes.
func (r Row) InputStream() bool { return r.in.stream() }

// OutputStream tells whether the answer's body is one stream of bytes.
func (r Row) OutputStream() bool { return r.out.stream() }

// Run validates in (a *In), authorises the call and does it; the result is a
// *Out. It is the way into an operation for callers in the same process.
func (r Row) Run(ctx context.Context, g *Gate, c *Call, in any) (any, error) {
	if reflect.TypeOf(in) != reflect.PointerTo(r.in.root) {
		return nil, fmt.Errorf("operation %s: input is a %T", r.name, in)
	}
	c.Operation, c.Input = r.name, in
	if err := g.rules.check(reflect.ValueOf(in).Elem(), r.in); err != nil {
		return nil, err
	}
	if needs := r.access(c, in); len(needs) > 0 {
		if err := g.authorize(ctx, c, needs); err != nil {
			return nil, err
		}
	}
	out, err := r.do(g.begin(ctx, c), c, in)
	c.Output = out
	return out, err
}
