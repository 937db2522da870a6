package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/carrier"
)

// The shapes of google.golang.org/grpc and its package metadata.
type (
	handler = func(ctx context.Context, req any) (any, error)
	md      map[string][]string // metadata.MD
	mdKey   struct{}
)

// Get is that of metadata.MD, whose keys are of lower case.
func (m md) Get(key string) []string { return m[strings.ToLower(key)] }

// fromIncoming is metadata.FromIncomingContext.
func fromIncoming(ctx context.Context) md { m, _ := ctx.Value(mdKey{}).(md); return m }

// withIncoming is metadata.NewIncomingContext.
func withIncoming(ctx context.Context, m md) context.Context {
	return context.WithValue(ctx, mdKey{}, m)
}

// status stands for google.golang.org/grpc/status.Error: neither tells the caller more.
func status(err error) error {
	if errors.Is(err, carrier.ErrRefused) || errors.Is(err, tenancy.ErrOtherTenant) {
		return errors.New("unauthenticated") // codes.Unauthenticated
	}
	return errors.New("unavailable") // codes.Unavailable
}

// incoming is a grpc.UnaryServerInterceptor without the info that it does not read.
func incoming(c *carrier.Carrier) func(ctx context.Context, req any, next handler) (any, error) {
	return func(ctx context.Context, req any, next handler) (any, error) {
		ctx, err := c.OpenOnly(ctx, fromIncoming(ctx).Get(carrier.Header))
		if err != nil {
			return nil, status(err)
		}
		return next(ctx, req)
	}
}

// outgoing is what a grpc.UnaryClientInterceptor does before it calls its invoker, with
// metadata.AppendToOutgoingContext in place of out.
func outgoing(ctx context.Context, c *carrier.Carrier, out md) error {
	text, err := c.Seal(ctx, carrier.RequestLife)
	if err != nil {
		return err // nothing is sent without a tenant
	}
	out[strings.ToLower(carrier.Header)] = []string{text}
	return nil
}

// Interceptors for gRPC: the client seals its context into the metadata, the server
// opens it.
func ExampleCarrier_OpenOnly_grpc() {
	c, done := newService()
	defer done()
	ctx := tenancy.WithActor(tenancy.WithTenant(context.Background(), tenancy.NewID()), tenancy.MustService("shop"))

	sent := md{}
	fmt.Println("sealed:", outgoing(ctx, c, sent))
	method := func(ctx context.Context, _ any) (any, error) {
		actor, err := tenancy.ActorFrom(ctx)
		return actor.String(), err
	}
	fmt.Println(incoming(c)(withIncoming(context.Background(), sent), nil, method))
	fmt.Println(incoming(c)(context.Background(), nil, method))
	// Output:
	// sealed: <nil>
	// service:shop <nil>
	// <nil> unauthenticated
}

// The shapes of connectrpc.com/connect.
type (
	anyRequest interface {
		Spec() spec
		Header() http.Header
	}
	spec      struct{ IsClient bool }
	unaryFunc func(ctx context.Context, req anyRequest) (string, error)
)

// request is what a call of connect hands to interceptors.
type request struct {
	spec   spec
	header http.Header
}

func (r request) Spec() spec { return r.spec }

func (r request) Header() http.Header { return r.header }

// both is a connect.UnaryInterceptorFunc, for clients and handlers alike.
func both(c *carrier.Carrier) func(next unaryFunc) unaryFunc {
	return func(next unaryFunc) unaryFunc {
		return func(ctx context.Context, req anyRequest) (string, error) {
			if req.Spec().IsClient {
				text, err := c.Seal(ctx, carrier.RequestLife)
				if err != nil {
					return "", err
				}
				req.Header().Set(carrier.Header, text)
				return next(ctx, req)
			}
			ctx, err := c.OpenOnly(ctx, req.Header().Values(carrier.Header))
			if err != nil {
				return "", status(err) // connect.NewError with the code of the same name
			}
			req.Header().Del(carrier.Header)
			return next(ctx, req)
		}
	}
}

// An interceptor for connect, which serves both sides.
func ExampleCarrier_OpenOnly_connect() {
	c, done := newService()
	defer done()
	ctx := tenancy.WithActor(tenancy.WithTenant(context.Background(), tenancy.NewID()), tenancy.MustService("shop"))

	server := both(c)(func(ctx context.Context, req anyRequest) (string, error) {
		actor, err := tenancy.ActorFrom(ctx)
		return fmt.Sprint(actor, " header: ", len(req.Header())), err
	})
	client := both(c)(func(_ context.Context, req anyRequest) (string, error) { // the network
		return server(context.Background(), request{header: req.Header()})
	})
	fmt.Println(client(ctx, request{spec{IsClient: true}, http.Header{}}))
	_, err := client(context.Background(), request{spec{IsClient: true}, http.Header{}})
	fmt.Println("no tenant:", errors.Is(err, tenancy.ErrNoTenant))
	two := http.Header{carrier.Header: {"a", "b"}}
	_, err = server(context.Background(), request{header: two})
	fmt.Println(err)
	// Output:
	// service:shop header: 0 <nil>
	// no tenant: true
	// unauthenticated
}

// newService makes the carrier that two services share.
func newService() (c *carrier.Carrier, done func()) {
	dir, err := os.MkdirTemp("", "carrier")
	if err != nil {
		panic(err)
	}
	keys, store, err := openKeys(context.Background(), dir)
	if err != nil {
		panic(err)
	}
	c, err = carrier.New(keys, "service/orders", nil)
	if err != nil {
		panic(err)
	}
	return c, func() { _ = store.Close(); _ = os.RemoveAll(dir) }
}
