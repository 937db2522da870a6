package dbtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

const module = "github.com/art32/art32"

// createclusterFolder holds settings of Debian's pg_createcluster.
const createclusterFolder = "/etc/postgresql-common/createcluster.d"

// policyFile is what Debian's packages ask before they start a service.
const policyFile = "/usr/sbin/policy-rc.d"

// mayInstall reports whether the machine is one that a test may change. The tests
// of programs that use the library install nothing.
func mayInstall() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != module && !strings.HasPrefix(info.Main.Path, module+"/") {
		return false
	}
	_, err := exec.LookPath("apt-get")
	return err == nil && (os.Geteuid() == 0 || os.Getenv("CI") == "true")
}

// install fetches PostgreSQL with apt-get, without the cluster that the package
// would start on port 5432.
func install(ctx context.Context) error { return installPackage(ctx, "postgresql", programs) }

// installPackage fetches a package with apt-get unless find finds it, and starts no
// service. Processes that install at once wait for each other.
func installPackage(ctx context.Context, name string, find func() (string, error)) error {
	unlock, err := lock(filepath.Join(os.TempDir(), fmt.Sprintf("art32-install-%d.lock", os.Geteuid())))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := find(); err == nil {
		return nil
	}
	command := installCommand(name)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("dbtest: install %s: %w\n%s", name, err, out)
	}
	return nil
}

// installCommand returns the command, through sudo when we are not root. Debian asks
// policyFile whether a service may start.
func installCommand(name string) []string {
	off := createclusterFolder + "/art32-test.conf"
	script := "set -e\n" +
		"mkdir -p " + createclusterFolder + "\n" +
		"echo 'create_main_cluster = false' > " + off + "\n" +
		"trap 'rm -f " + off + "' EXIT\n" +
		"if [ ! -e " + policyFile + " ]; then\n" +
		"  printf '#!/bin/sh\\nexit 101\\n' > " + policyFile + "; chmod 755 " + policyFile + "\n" +
		"  trap 'rm -f " + off + " " + policyFile + "' EXIT\n" +
		"fi\n" +
		"export DEBIAN_FRONTEND=noninteractive\n" +
		"apt-get -o DPkg::Lock::Timeout=300 update -q\n" +
		"apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends " + name + "\n"
	command := []string{"/bin/sh", "-c", script}
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "-n"}, command...)
	}
	return command
}
