package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/art32/art32/tenancy/postgres"
)

// lines are the DSNs as assignments of the environment.
func lines(l postgres.Logins) string {
	return fmt.Sprintf("%s=%s\n%s=%s\n%s=%s\n%s=%s\n", envLibrary, l.Library, envApp, l.App, envAcross, l.Across, envBackup, l.Backup)
}

// writeLogins fills a new file, or removes it where there is nothing to fill it
// with.
func writeLogins(file *os.File, l postgres.Logins) error {
	if l == (postgres.Logins{}) {
		return errors.Join(file.Close(), os.Remove(file.Name()))
	}
	_, err := file.WriteString(lines(l))
	return errors.Join(err, file.Sync(), file.Close())
}

// printLogins shows the DSNs, which nothing else keeps.
func printLogins(out *output, l postgres.Logins) {
	out.textf("\nThe DSNs hold passwords and are shown this once. Keep them as secrets; the third\nis for programs that read over tenants alone, the last for the one that makes backups:\n\n%s", lines(l))
}
