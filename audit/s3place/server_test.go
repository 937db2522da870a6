package s3place_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// server is an S3 service in a process of its own: versitygw, which module interop
// requires, over a folder.
type server struct {
	address string
	dir     string // buckets are folders in it
	client  *http.Transport
	buckets atomic.Int64
}

var service *server // started by TestMain

const access, secret = "test", "test-secret"

func TestMain(m *testing.M) {
	code, err := serve(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3place: the S3 service for the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// serve builds and starts the service, and runs the tests.
func serve(m *testing.M) (code int, err error) {
	root, err := os.MkdirTemp("", "s3place")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(root)
	ctx, stop := context.WithCancel(context.Background())
	build := exec.CommandContext(ctx, "go", "tool", "-n", "github.com/versity/versitygw/cmd/versitygw") // builds it, once, and says where
	build.Dir = filepath.Join("..", "..", "interop")
	var said bytes.Buffer
	build.Stderr = &said
	program, err := build.Output()
	if err != nil {
		stop()
		return 1, fmt.Errorf("build: %w\n%s", err, &said)
	}
	s := &server{dir: filepath.Join(root, "data")}
	out := &bytes.Buffer{}
	cmd, err := s.start(ctx, root, strings.TrimSpace(string(program)), out)
	if err != nil {
		stop()
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = s.ready(ctx, ended)
	if err == nil {
		service = s
		code = m.Run()
	} else {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	stop()
	<-ended
	return code, err
}

func (s *server) start(ctx context.Context, root, program string, out *bytes.Buffer) (*exec.Cmd, error) {
	meta := filepath.Join(root, "meta")
	err := errors.Join(os.Mkdir(s.dir, 0o700), os.Mkdir(meta, 0o700), s.certificate(root))
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "--port", s.address, "--quiet", "--keep-alive",
		"--cert", filepath.Join(root, "cert.pem"), "--key", filepath.Join(root, "key.pem"), "posix", "--sidecar", meta, s.dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+access, "ROOT_SECRET_KEY="+secret)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, cmd.Start()
}

// certificate makes one for the loopback interface, which the client alone trusts.
func (s *server) certificate(root string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	s.client = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return errors.Join(
		os.WriteFile(filepath.Join(root, "cert.pem"), cert, 0o600),
		os.WriteFile(filepath.Join(root, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// ready waits until the service answers.
func (s *server) ready(ctx context.Context, ended chan error) error {
	client, err := s.login(secret)
	if err != nil {
		return err
	}
	for range 600 {
		if _, err = client.ListBuckets(ctx); err == nil {
			return nil
		}
		select {
		case exit := <-ended:
			ended <- exit
			return fmt.Errorf("it ended: %w", exit)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("it does not answer: %w", err)
}

func (s *server) login(secret string) (*minio.Client, error) {
	return minio.New(s.address, &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Secure: true, Transport: s.client, Region: "us-east-1", MaxRetries: 1,
	})
}

// bucket makes a bucket for one test.
func bucket(t *testing.T) (client *minio.Client, name string) {
	t.Helper()
	client, err := service.login(secret)
	must(t, err)
	name = fmt.Sprintf("test-%d", service.buckets.Add(1))
	must(t, client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}))
	return client, name
}
