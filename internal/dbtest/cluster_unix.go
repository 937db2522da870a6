//go:build unix

package dbtest

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	readyLimit = 2 * time.Minute // initdb on a loaded machine takes its time
	pingLimit  = 5 * time.Second // another program on the port may never answer
	pollEvery  = 50 * time.Millisecond
	portTries  = 5
)

//go:embed keeper.sh
var keeperScript string

// cluster is a throw-away cluster in the hands of its keeper (keeper.sh). The
// pipe is the only bond: closing it ends the cluster.
type cluster struct {
	keeper   *exec.Cmd
	input    io.WriteCloser
	folder   string
	password string
}

// startCluster makes a cluster with the programs in the folder and returns when
// it takes connections.
func startCluster(ctx context.Context, programFolder string) (*Server, error) {
	return startOn(ctx, programFolder, freePort)
}

// startOn is startCluster with the ports to try.
func startOn(ctx context.Context, programFolder string, port func(context.Context) (int, error)) (*Server, error) {
	return startCopy(ctx, programFolder, "", port)
}

// startFollower makes a cluster that follows a server of startCluster's.
func startFollower(ctx context.Context, programFolder, serverURL string) (*Server, error) {
	return startCopy(ctx, programFolder, serverURL, freePort)
}

// startCopy is startOn for a new cluster, or for one that follows a server.
func startCopy(
	ctx context.Context, programFolder, of string, port func(context.Context) (int, error),
) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	c, err := newCluster(programFolder, of)
	if err != nil {
		return nil, fmt.Errorf("dbtest: start the cluster: %w", err)
	}
	for range portTries {
		u, taken, err := c.listen(ctx, port)
		if err == nil {
			return &Server{url: u, stop: c.stop}, nil
		}
		if !taken {
			err = fmt.Errorf("dbtest: start the cluster: %w\n%s", err, c.log(0))
			_ = c.stop() // the first error tells more
			return nil, err
		}
	}
	_ = c.stop()
	return nil, fmt.Errorf("dbtest: start the cluster: no free port in %d attempts", portTries)
}

// newCluster starts the keeper, as a user without privileges when we are root. The
// cluster is empty, or a copy of a server's.
func newCluster(programFolder, of string) (*cluster, error) {
	c, from := &cluster{password: rand.Text()}, ""
	if of != "" {
		u, err := url.Parse(of)
		if err != nil {
			return nil, errServerURL
		}
		c.password, _ = u.User.Password()
		from = u.Port()
	}
	folder, attributes := tempFolder(), &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		credential, err := unprivileged()
		if err != nil {
			return nil, err
		}
		attributes.Credential = credential
	}
	c.folder = filepath.Join(folder, "art32-postgres-"+rand.Text())
	c.keeper = exec.Command("/bin/sh", "-c", keeperScript, "keeper", programFolder, c.folder, fsync(), from)
	c.keeper.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	c.keeper.Dir, c.keeper.SysProcAttr = "/", attributes
	input, err := c.keeper.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.input = input
	if err := c.keeper.Start(); err != nil {
		return nil, err
	}
	_, err = io.WriteString(c.input, c.password+"\n")
	return c, err
}

// listen starts the server on a free port and waits for it. The answer taken
// means that another program was faster and a new port may help.
func (c *cluster) listen(ctx context.Context, freePort func(context.Context) (int, error)) (serverURL string, taken bool, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return "", false, err
	}
	offset := len(c.log(0))
	if _, err := io.WriteString(c.input, strconv.Itoa(port)+"\n"); err != nil {
		return "", false, err
	}
	serverURL = c.urlOn(port)
	for {
		if err = ping(ctx, serverURL); err == nil {
			return serverURL, false, nil
		}
		if ended, taken := readEnd(c.log(offset)); ended {
			return "", taken, err
		}
		select {
		case <-ctx.Done():
			return "", false, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// readEnd tells from the log whether the server gave up, and whether because
// its port was taken.
func readEnd(log string) (ended, taken bool) {
	for line := range strings.Lines(log) {
		_, message, fatal := strings.Cut(line, "FATAL:")
		if fatal && !strings.Contains(message, "starting up") {
			return true, strings.Contains(message, "could not create any TCP/IP sockets")
		}
	}
	return false, false
}

// urlOn returns the URL of the superuser.
func (c *cluster) urlOn(port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// stop ends the cluster and returns when its folder is gone.
func (c *cluster) stop() error {
	if err := c.input.Close(); err != nil {
		return err
	}
	if err := c.keeper.Wait(); err != nil {
		return fmt.Errorf("dbtest: stop the cluster: %w", err)
	}
	return nil
}

// log returns what the server wrote beyond an offset.
func (c *cluster) log(offset int) string {
	text, err := os.ReadFile(filepath.Join(c.folder, "log"))
	if err != nil || len(text) < offset {
		return ""
	}
	return string(text[offset:])
}

func ping(ctx context.Context, serverURL string) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, _ := listener.Addr().(*net.TCPAddr) // what a TCP listener has
	return address.Port, listener.Close()
}

func fsync() string {
	if os.Getenv(envFsync) == "on" {
		return "on"
	}
	return "off"
}
