package pglogin

import (
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Verified reports whether each server of a login is local or must show a
// certificate that fits its name (TOM-4.1). Sockets and loopback need no TLS.
func Verified(c *pgconn.Config) bool {
	servers := append([]*pgconn.FallbackConfig{{Host: c.Host, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	return !slices.ContainsFunc(servers, func(s *pgconn.FallbackConfig) bool {
		return !Local(s.Host) && (s.TLSConfig == nil || s.TLSConfig.InsecureSkipVerify)
	})
}

// Local reports whether a host is a socket or the loopback interface.
func Local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || ip != nil && ip.IsLoopback()
}
