package smtpnotifier_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/smtpnotifier"
)

// listen answers each connection with fn, and gives the port.
func listen(t *testing.T, fn func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fn(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// Whoever speaks before TLS, be it somebody on the way, fills no memory.
func TestFlood(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{
		"endless line":       bytes.Repeat([]byte("a"), 1<<16),
		"endless reply":      bytes.Repeat([]byte("220-a\r\n"), 1<<13),
		"pretends to be TLS": append([]byte{22}, bytes.Repeat([]byte("a"), 1<<16)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-9.2")
			var sent atomic.Int64
			port := listen(t, func(c net.Conn) {
				for {
					n, err := c.Write(text)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			n := open(t, &smtpnotifier.Options{Host: "127.0.0.1", Port: port, From: "a@vendor.example"})
			e, ok := errors.AsType[*incident.DeliveryError](n.Notify(t.Context(), notice()))
			if !ok || e.Code != "greeting" || e.Permanent {
				t.Errorf("Notify() = %v", e)
			}
			if sent.Load() > 64<<20 { // what the buffers of the system hold
				t.Errorf("%d bytes were taken", sent.Load())
			}
		})
	}
}

// A server that has the mail and does not say goodbye holds up nobody.
func TestFarewell(t *testing.T) {
	t.Parallel()
	s := serve(t, implicitTLS)
	s.lingers.Store(true)
	o := s.options()
	o.TLS = smtpnotifier.Implicit
	start := time.Now()
	if err := open(t, o).Notify(t.Context(), notice()); err != nil || len(s.received()) != 1 {
		t.Errorf("%d mails, %v", len(s.received()), err)
	}
	if d := time.Since(start); d < time.Second || d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
}

// A server that says little and never ends is left when the context ends.
func TestDrip(t *testing.T) {
	t.Parallel()
	port := listen(t, func(c net.Conn) {
		for {
			if _, err := c.Write([]byte("220-x\r\n")); err != nil {
				return
			}
			<-time.After(20 * time.Millisecond)
		}
	})
	n := open(t, &smtpnotifier.Options{Host: "127.0.0.1", Port: port, From: "a@vendor.example"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, notice()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Notify() = %v", err)
	}
}
