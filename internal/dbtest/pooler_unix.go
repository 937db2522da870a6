//go:build unix

package dbtest

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed pooler.sh
var poolerScript string

// pooler is a PgBouncer in the hands of its keeper (pooler.sh), whose end is that
// of the pipe.
type pooler struct {
	address string
	keeper  *exec.Cmd
	input   io.WriteCloser
	folder  string
}

// startPooler returns when the pooler takes connections.
func startPooler(ctx context.Context, program string, mode PoolMode, o *PoolerOptions, dsns []string) (*pooler, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var err error
	for range portTries {
		var port int
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
		users, settings, serr := poolerSettings(mode, o, port, dsns)
		if serr != nil {
			return nil, serr
		}
		var p *pooler
		if p, err = newPooler(program, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
			return nil, err
		}
		if _, err = io.WriteString(p.input, users+".\n"+settings+".\n"); err == nil {
			err = p.answers(ctx)
		}
		if err == nil {
			return p, nil
		}
		err = fmt.Errorf("dbtest: start the pooler: %w\n%s", err, p.log())
		_ = p.stop() // the first error tells more
	}
	return nil, err
}

// newPooler starts the keeper, as a user without privileges when we are root.
func newPooler(program, address string) (*pooler, error) {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		credential, err := unprivileged()
		if err != nil {
			return nil, err
		}
		attributes.Credential = credential
	}
	p := &pooler{address: address, folder: filepath.Join(tempFolder(), "art32-pooler-"+rand.Text())}
	p.keeper = exec.Command("/bin/sh", "-c", poolerScript, "keeper", program, p.folder)
	p.keeper.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	p.keeper.Dir, p.keeper.SysProcAttr = "/", attributes
	input, err := p.keeper.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.input = input
	return p, p.keeper.Start()
}

// answers waits until the pooler takes connections.
func (p *pooler) answers(ctx context.Context) error {
	for end := time.Now().Add(pingLimit); ; time.Sleep(pollEvery / 5) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
		if err == nil {
			err = conn.Close()
		}
		if strings.Contains(p.log(), "process up") { // else another program has the port
			return err
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return errors.Join(err, errors.New("it does not come up"))
		}
	}
}

// stop ends the pooler and returns when its folder is gone.
func (p *pooler) stop() error {
	if err := p.input.Close(); err != nil {
		return err
	}
	return p.keeper.Wait()
}

func (p *pooler) log() string {
	text, err := os.ReadFile(filepath.Join(p.folder, "log"))
	if err != nil {
		return ""
	}
	return string(text)
}
