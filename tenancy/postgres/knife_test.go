package postgres_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// knife is a proxy that knows the messages of the protocol. Armed, it lets some of
// them pass in one direction and cuts the connection behind them.
type knife struct {
	addr string

	mu    sync.Mutex
	armed bool
	dir   direction
	left  int           // messages to let pass before the cut
	done  chan struct{} // closed when what was cut has ended on both sides
	sent  []string      // messages of clients since the last arm: type, and the text of a Parse
}

type direction int

const (
	toServer direction = iota
	toClient
)

func newKnife(tb testing.TB, server string) *knife {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	k := &knife{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go k.serve(c, server)
		}
	}()
	return k
}

// arm cuts behind the n-th message from now on.
func (k *knife) arm(d direction, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed, k.dir, k.left, k.done, k.sent = true, d, n, make(chan struct{}), nil
}

// disarm reports whether there was a cut, and waits for its end.
func (k *knife) disarm(tb testing.TB) (cut bool) {
	tb.Helper()
	k.mu.Lock()
	cut, k.armed = !k.armed, false
	done := k.done
	k.mu.Unlock()
	if !cut {
		return false
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		tb.Fatal("what was cut does not end")
	}
	return true
}

// flight is what clients have sent since arm.
func (k *knife) flight() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent
}

// lose counts a message and says whether it is lost.
func (k *knife) lose(d direction, m []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d == toServer && m[0] != 0 {
		k.sent = append(k.sent, messageName(m))
	}
	if !k.armed || k.dir != d {
		return false
	}
	if k.left > 0 {
		k.left--
		return false
	}
	k.armed = false
	return true
}

func messageName(m []byte) string {
	if m[0] != 'P' { // Parse: name, text
		return string(m[0])
	}
	rest := m[5:]
	for i, b := range rest {
		if b == 0 {
			rest = rest[i+1:]
			break
		}
	}
	for i, b := range rest {
		if b == 0 {
			return "P " + string(rest[:i])
		}
	}
	return "P"
}

func (k *knife) serve(client net.Conn, addr string) {
	defer client.Close()
	s, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return
	}
	server := s.(*net.TCPConn)
	defer server.Close()
	var once sync.Once
	cut := func() { // the server works through what it has; then it sees the end
		once.Do(func() {
			_ = server.CloseWrite()
			_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.Copy(io.Discard, server)
			_ = client.Close()
			k.mu.Lock()
			close(k.done)
			k.mu.Unlock()
		})
	}
	var lost sync.Map // set when a cut began
	go func() {
		defer client.Close()
		eachMessage(server, false, func(m []byte) bool {
			if _, ok := lost.Load("to server"); ok {
				return false
			}
			if _, ok := lost.Load("to client"); ok || k.lose(toClient, m) {
				lost.Store("to client", true)
				if m[0] == 'Z' { // it has answered all
					cut()
					return false
				}
				return true
			}
			_, err := client.Write(m)
			return err == nil
		})
		if _, ok := lost.Load("to client"); ok { // it ended before it had answered all
			cut()
		}
		if _, ok := lost.Load("to server"); !ok {
			return
		}
		cut()
	}()
	eachMessage(client, true, func(m []byte) bool {
		if k.lose(toServer, m) {
			lost.Store("to server", true)
			_ = server.CloseWrite()
			return false
		}
		_, err := server.Write(m)
		return err == nil
	})
	if _, ok := lost.Load("to server"); ok {
		k.wait()
	}
	if _, ok := lost.Load("to client"); ok {
		k.wait()
	}
}

func (k *knife) wait() {
	k.mu.Lock()
	done := k.done
	k.mu.Unlock()
	<-done
}

// eachMessage hands on the messages until fn says false. A client's first has no
// type: its own is then 0.
func eachMessage(r io.Reader, first bool, fn func(m []byte) bool) {
	b := bufio.NewReaderSize(r, 1<<16)
	for ; ; first = false {
		head := 1
		if first {
			head = 0
		}
		h := make([]byte, head+4)
		if _, err := io.ReadFull(b, h); err != nil {
			return
		}
		m := make([]byte, head+int(binary.BigEndian.Uint32(h[head:])))
		copy(m, h)
		if _, err := io.ReadFull(b, m[len(h):]); err != nil {
			return
		}
		if !fn(m) {
			return
		}
	}
}
