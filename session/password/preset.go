package password

import "fmt"

// Preset is a set of argon2id parameters. The zero Preset is the default.
// There are no others: parameters of one's own are where weak ones come from.
type Preset uint8

const (
	// OWASP19MiB takes 19 MiB and two passes: m=19456,t=2,p=1. It is the default:
	// of the rows that OWASP holds to be of equal strength, the one that lets most
	// people log in at once.
	//
	// Source: OWASP Password Storage Cheat Sheet, Argon2id; ASVS 5.0.0, 11.4.2.
	OWASP19MiB Preset = iota
	// OWASP46MiB takes 46 MiB and one pass: m=47104,t=1,p=1. It costs the server
	// a little less time than [OWASP19MiB] and more memory.
	//
	// Source: as for [OWASP19MiB].
	OWASP46MiB
	// RFC9106Second takes 64 MiB, three passes and four lanes: m=65536,t=3,p=4.
	// It is the stronger choice where logins are few.
	//
	// Source: RFC 9106, section 4, second recommended option.
	RFC9106Second
)

var presets = [...]params{
	OWASP19MiB:    {memory: 19456, time: 2, threads: 1},
	OWASP46MiB:    {memory: 47104, time: 1, threads: 1},
	RFC9106Second: {memory: 65536, time: 3, threads: 4},
}

// String returns the parameters as they stand in a stored text, such as
// "m=19456,t=2,p=1".
func (p Preset) String() string {
	if int(p) >= len(presets) {
		return fmt.Sprintf("Preset(%d)", uint8(p))
	}
	return presets[p].String()
}

// params are the parameters of argon2id.
type params struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8  // lanes
}

func (p params) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.threads)
}

// bytes is the memory that one hash takes.
func (p params) bytes() int64 { return int64(p.memory) << 10 }

// below reports whether p costs a guesser less memory or fewer passes than q.
func (p params) below(q params) bool { return p.memory < q.memory || p.time < q.time }
