package postgres_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// breaker is a proxy whose connections break when somebody asks for it.
type breaker struct {
	addr string
	mu   sync.Mutex
	live map[net.Conn]net.Conn // client to server
}

func newBreaker(tb testing.TB, server string) *breaker {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	b := &breaker{addr: l.Addr().String(), live: map[net.Conn]net.Conn{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c, server)
		}
	}()
	return b
}

func (b *breaker) serve(client net.Conn, addr string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	b.mu.Lock()
	b.live[client] = server
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.live, client)
		b.mu.Unlock()
	}()
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	}()
	_, _ = io.Copy(server, client)
}

// breakOne closes a connection on one side or on both.
func (b *breaker) breakOne() {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := rand.IntN(len(b.live) + 1)
	for client, server := range b.live {
		if n--; n >= 0 {
			continue
		}
		switch rand.IntN(3) {
		case 0:
			_ = client.Close()
		case 1:
			_ = server.Close()
		default:
			_, _ = client.Close(), server.Close()
		}
		return
	}
}
