package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// exported is the export of a tenant with two logs, of 700 and 300 entries, made
// under two keys of the platform.
type exported struct {
	dir       string
	tenant    uuid.UUID
	logs      [2]*audit.TestLog
	platform  [2]*audit.TestLog
	heldEarly []byte // the checkpoint of log 0 at 300 entries
}

func makeExported(t *testing.T) *exported {
	t.Helper()
	x := &exported{dir: t.TempDir(), tenant: uuid.MustParse("0b5b7c9e-6a0a-4a68-8a44-0d5f6a8e9b01")}
	for i := range 2 {
		x.logs[i] = audit.NewTestLog(t, byte(1+i), x.tenant)
		x.platform[i] = audit.NewTestLog(t, byte(11+i), uuid.Nil)
	}
	p := x.platform
	p[0].Fill(t, 3)
	first := p[0].Open(t, x.logs[0])
	p[0].Fill(t, 9)
	first()
	p[0].Follow(t, p[1], audit.CauseRotation, nil)
	second := p[1].Open(t, x.logs[1])
	p[1].Fill(t, 5)
	second()
	x.logs[0].Fill(t, 700)
	x.heldEarly = x.logs[0].Sign(t, x.logs[0].Head(t, 300))
	x.logs[0].Follow(t, x.logs[1], audit.CauseRotation, nil)
	x.logs[1].Fill(t, 300)
	x.write(t)
	return x
}

func (x *exported) write(t *testing.T) {
	t.Helper()
	for i, name := range []string{"0", "1"} {
		x.logs[i].Write(t, filepath.Join(x.dir, name), true)
		x.platform[i].Write(t, filepath.Join(x.dir, "platform", name), false)
	}
}

func (x *exported) path(name string) string { return filepath.Join(x.dir, filepath.FromSlash(name)) }

func (x *exported) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(x.path(name))
	must(t, err)
	return b
}

func (x *exported) flip(t *testing.T, name string, at int) {
	t.Helper()
	b := x.read(t, name)
	b[at] ^= 1
	audit.Replace(t, x.path(name), b)
}

func (x *exported) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, os.RemoveAll(x.path(name)))
	}
}

// bundle changes the entries of a bundle.
func (x *exported) bundle(t *testing.T, name string, fn func([][]byte) [][]byte) {
	t.Helper()
	audit.Replace(t, x.path(name), audit.MakeBundle(fn(audit.SplitBundle(x.read(t, name)))))
}

func (x *exported) verify(t *testing.T, o *audit.ExportOptions) *audit.ExportReport {
	t.Helper()
	r, err := audit.VerifyExport(t.Context(), x.dir, o)
	must(t, err)
	return r
}

// wantFound demands findings of exactly these kinds, in their order.
func wantFound(t *testing.T, r *audit.ExportReport, want ...string) {
	t.Helper()
	got := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		got[i] = string(f.Kind) + ": " + numberOf(r, f.Log) + f.Text
	}
	if r.More != 0 || len(got) != len(want) {
		t.Fatalf("got %d findings and %d more, want %d:\n%s", len(got), r.More, len(want), strings.Join(got, "\n"))
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w) {
			t.Errorf("got  %s\nwant %s …", got[i], w)
		}
	}
}

// numberOf names the log of a finding where there are several.
func numberOf(r *audit.ExportReport, log string) string {
	for _, l := range r.Logs {
		if l.Origin == log && log != "" && len(r.Logs) > 1 {
			return fmt.Sprintf("log %d: ", l.Number)
		}
	}
	return ""
}

// An export that nobody touched is as it was sealed, under each key that a
// customer may hold.
func TestVerifyExport(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := makeExported(t)
	for _, key := range []string{"", x.platform[0].Vkey, x.platform[1].Vkey + "\n"} {
		r := x.verify(t, &audit.ExportOptions{PlatformKey: key, Tenant: tenancy.ID(x.tenant), Checkpoints: [][]byte{
			x.heldEarly, x.read(t, "0/checkpoint"), x.read(t, "1/checkpoint"), x.logs[0].Sign(t, x.logs[0].Head(t, 0)),
		}})
		wantFound(t, r)
		if !r.OK() || r.Checked != 1000 || r.PlatformKey != x.platform[1].Vkey || r.Tenant.UUID() != x.tenant || len(r.Logs) != 2 {
			t.Errorf("got %+v", r)
		}
		if l := r.Logs[1]; l.Key != x.logs[1].Vkey || l.First != 700 || l.Size != 300 || l.Cause != audit.CauseRotation {
			t.Errorf("got %+v", l)
		}
	}
}

// Each attack on an export is found, and called what it is.
func TestVerifyExportFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, x *exported)
		want  []string
	}{
		{"edited", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/entries/001", 30)
		}, []string{"edited: log 0: entry 256 is not"}},
		{"edited with its tile", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/entries/001", 30)
			x.flip(t, "0/tile/0/001", 0)
		}, []string{"tile damaged: log 0: tile/0/001 does", "edited: log 0: of the entries 256 to 511"}},
		{"deleted from a bundle", func(t *testing.T, x *exported) {
			x.bundle(t, "0/tile/entries/001", func(b [][]byte) [][]byte { return append(b[:100], b[101:]...) })
		}, []string{"deleted: log 0: entry 356 is gone"}},
		{"deleted from the log", func(t *testing.T, x *exported) {
			var next [][]byte
			x.bundle(t, "0/tile/entries/001", func(b [][]byte) [][]byte { next = b; return b })
			x.bundle(t, "0/tile/entries/000", func(b [][]byte) [][]byte { return append(append(b[:7], b[9:]...), next[:2]...) })
			last := next
			x.bundle(t, "0/tile/entries/002.p/188", func(b [][]byte) [][]byte { last = b; return b[2:] })
			x.bundle(t, "0/tile/entries/001", func(b [][]byte) [][]byte { return append(b[2:], last[:2]...) })
		}, []string{"deleted: log 0: the entries 7 to 8 are gone"}},
		{"reordered", func(t *testing.T, x *exported) {
			x.bundle(t, "0/tile/entries/000", func(b [][]byte) [][]byte { b[3], b[9] = b[9], b[3]; return b })
		}, []string{"reordered: log 0: entry 9 stands in the place of entry 3", "reordered: log 0: entry 3 stands in the place of entry 9"}},
		{"reordered over bundles", func(t *testing.T, x *exported) {
			var a, b []byte
			x.bundle(t, "0/tile/entries/000", func(l [][]byte) [][]byte { a = l[3]; return l })
			x.bundle(t, "0/tile/entries/002.p/188", func(l [][]byte) [][]byte { b, l[9] = l[9], a; return l })
			x.bundle(t, "0/tile/entries/000", func(l [][]byte) [][]byte { l[3] = b; return l })
		}, []string{"reordered: log 0: entry 521 stands in the place of entry 3", "reordered: log 0: entry 3 stands in the place of entry 521"}},
		{"inserted", func(t *testing.T, x *exported) {
			x.bundle(t, "0/tile/entries/000", func(l [][]byte) [][]byte {
				return append(append(append([][]byte{}, l[:50]...), x.logs[1].Leaves[5]), l[50:]...)
			})
		}, []string{"inserted: log 0: before entry 50 stands one that was never sealed"}},
		{"a copy in place of another", func(t *testing.T, x *exported) {
			x.bundle(t, "0/tile/entries/000", func(l [][]byte) [][]byte { l[60] = l[50]; return l })
		}, []string{"inserted: log 0: a copy of entry 50 stands in the place of entry 60"}},
		{"bytes behind the last entry", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("0/tile/entries/000"), append(x.read(t, "0/tile/entries/000"), 9))
		}, []string{"inserted: log 0: tile/entries/000 holds more"}},
		{"a length that lies", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/entries/000", 0) // 256 bytes more
		}, nil},
		{"bundle missing", func(t *testing.T, x *exported) {
			x.remove(t, "0/tile/entries/001")
		}, []string{"deleted: log 0: the entries 256 to 511 are gone"}},
		{"last bundle missing", func(t *testing.T, x *exported) {
			x.remove(t, "1/tile/entries/001.p")
		}, []string{"tail cut: log 1: the last entries are gone: 256 to 299"}},
		{"end cut with its tiles", func(t *testing.T, x *exported) {
			x.remove(t, "1/tile/entries/001.p", "1/tile/0/001.p")
		}, []string{"tail cut: log 1: the checkpoint covers 300 entries, and the bundles from entry 256"}},
		{"end cut, an old tile in its place", func(t *testing.T, x *exported) {
			x.remove(t, "1/tile/entries/001.p", "1/tile/0/001.p")
			x.logs[1].Leaves = x.logs[1].Leaves[:290]
			held := x.read(t, "1/checkpoint")
			x.logs[1].Write(t, x.path("1"), true)
			audit.Replace(t, x.path("1/checkpoint"), held)
		}, []string{"tail cut: log 1: the checkpoint covers 300 entries"}},
		{"last entry cut out of its bundle", func(t *testing.T, x *exported) {
			x.bundle(t, "1/tile/entries/001.p/44", func(l [][]byte) [][]byte { return l[:43] })
		}, []string{"tail cut: log 1: the last entries are gone: 299 to 299"}},
		{"tile", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/0/001", 500)
		}, []string{"tile damaged: log 0: tile/0/001 does not hold"}},
		{"last tile", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/0/002.p/188", 500)
		}, []string{"tile damaged: log 0: tile/0/002 does not hold"}},
		{"upper tile", func(t *testing.T, x *exported) {
			x.flip(t, "0/tile/1/000.p/2", 40)
		}, []string{"tile damaged: log 0: tile/1/000 does not hold"}},
		{"tiles missing", func(t *testing.T, x *exported) {
			x.remove(t, "0/tile/0/000", "0/tile/1")
		}, []string{"tile damaged: log 0: tile/0/000 is missing", "tile damaged: log 0: tile/1/000 is missing"}},
		{"tiles exchanged for another log's", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("0/tile/0/000"), x.read(t, "1/tile/0/000"))
		}, []string{"tile damaged: log 0: tile/0/000 does not hold"}},
		{"byte of the checkpoint", func(t *testing.T, x *exported) {
			x.flip(t, "1/checkpoint", 60)
		}, []string{"checkpoint: log 1: its checkpoint is forged, damaged or of another log"}},
		{"checkpoint missing", func(t *testing.T, x *exported) {
			x.remove(t, "1/checkpoint")
		}, []string{"checkpoint: log 1: its checkpoint is missing"}},
		{"checkpoint of a fork", func(t *testing.T, x *exported) {
			c := x.logs[1].Head(t, 300)
			c.Root[0] ^= 1
			audit.Replace(t, x.path("1/checkpoint"), x.logs[1].Sign(t, c))
		}, []string{"checkpoint: log 1: neither the tiles nor the entries yield the root"}},
		{"checkpoint of 2^62 entries", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("1/checkpoint"), x.logs[1].Sign(t, audit.Checkpoint{Origin: x.logs[1].Head(t, 1).Origin, Size: 1 << 62}))
		}, []string{"checkpoint: log 1: its checkpoint claims more entries than any log has"}},
		{"checkpoint of 2^55 entries", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("1/checkpoint"), x.logs[1].Sign(t, audit.Checkpoint{Origin: x.logs[1].Head(t, 1).Origin, Size: 1 << 55}))
		}, []string{"tail cut: log 1: the checkpoint covers 36028797018963968 entries, and the bundles from entry 256"}},
		{"another key", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("1/log.vkey"), []byte(audit.NewTestLog(t, 9, x.tenant).Vkey))
		}, []string{"checkpoint: log 1: its checkpoint is forged", "foreign log: log 1: its opening does not", "foreign log: log 1: the key of log 0 does not vouch"}},
		{"key missing", func(t *testing.T, x *exported) {
			x.remove(t, "1/log.vkey")
		}, []string{"checkpoint: log 1: its public key", "foreign log: log 1: the key of log 0 does not vouch"}},
		{"opening missing", func(t *testing.T, x *exported) {
			x.remove(t, "0/opening")
		}, []string{"foreign log: log 0: its opening is missing"}},
		{"opening of another log", func(t *testing.T, x *exported) {
			audit.Replace(t, x.path("0/opening"), x.logs[1].Opening)
		}, []string{"foreign log: log 0: its opening does not show"}},
		{"opened for another tenant", func(t *testing.T, x *exported) {
			other := *x.logs[0]
			other.Tenant = uuid.New()
			x.platform[1].Open(t, &other)()
			audit.Replace(t, x.path("0/opening"), other.Opening)
		}, []string{"foreign log: log 0: its opening does not show"}},
		{"leaf of another log in the tree", func(t *testing.T, x *exported) {
			x.logs[1].Leaves[5] = x.logs[0].Leaves[5]
			x.remove(t, "1")
			x.write(t)
		}, []string{"foreign log: log 1: entry 5 is no leaf of this log"}},
		{"log of another tenant", func(t *testing.T, x *exported) {
			other := audit.NewTestLog(t, 21, uuid.New())
			other.Fill(t, 5)
			x.platform[1].Open(t, other)()
			x.remove(t, "0", "1")
			other.Write(t, x.path("0"), true)
		}, []string{
			"foreign log: its opening does not show", "foreign log: entry 0 is one of another tenant", "foreign log: entry 1 is",
			"foreign log: entry 2 is", "foreign log: entry 3 is", "foreign log: entry 4 is",
		}},
		{"log put in place of the tenant's", func(t *testing.T, x *exported) {
			mine := audit.NewTestLog(t, 21, x.tenant)
			mine.Fill(t, 5)
			mine.Opening = x.logs[0].Opening
			x.remove(t, "0", "1")
			mine.Write(t, x.path("0"), true)
		}, []string{"foreign log: its opening does not show"}},
		{"platform of another installation", func(t *testing.T, x *exported) {
			other := audit.NewTestLog(t, 31, uuid.Nil)
			first, second := other.Open(t, x.logs[0]), other.Open(t, x.logs[1])
			first()
			second()
			x.write(t)
			x.remove(t, "platform")
			other.Write(t, x.path("platform/0"), false)
		}, []string{"foreign log: the platform's key that is held outside is none"}},
		{"succession missing", func(t *testing.T, x *exported) {
			x.remove(t, "1/succession")
		}, []string{"foreign log: log 1: nothing shows that it follows log 0", "foreign log: log 1: its first entry does not name log 0"}},
		{"succession of another key", func(t *testing.T, x *exported) {
			other := audit.NewTestLog(t, 21, x.tenant)
			other.Fill(t, 700)
			follows := audit.NewTestLog(t, 2, x.tenant)
			other.Follow(t, follows, audit.CauseRotation, nil)
			audit.Replace(t, x.path("1/succession"), follows.Succession)
		}, []string{"foreign log: log 1: the key of log 0 does not vouch", "foreign log: log 1: its first entry does not name log 0"}},
		{"a later succession", func(t *testing.T, x *exported) {
			follows := audit.NewTestLog(t, 2, x.tenant)
			x.logs[0].Follow(t, follows, audit.CausePeriod, nil)
			audit.Replace(t, x.path("1/succession"), follows.Succession)
		}, []string{"foreign log: log 1: its first entry does not name log 0"}},
		{"continued beside its successor", func(t *testing.T, x *exported) {
			x.logs[0].Fill(t, 705)
			x.logs[0].Write(t, x.path("0"), true)
		}, []string{"checkpoint: log 0: it ended with 700 entries, but its checkpoint covers 705"}},
		{"set back before its successor", func(t *testing.T, x *exported) {
			x.logs[0].Leaves = x.logs[0].Leaves[:600]
			x.logs[0].Write(t, x.path("0"), true)
		}, []string{"tail cut: log 0: it ended with 700 entries, but its checkpoint covers 600"}},
		{"first log taken out", func(t *testing.T, x *exported) {
			x.remove(t, "0")
		}, []string{"deleted: the logs before it are missing"}},
		{"first log taken out with what tells of it", func(t *testing.T, x *exported) {
			x.remove(t, "0")
			x.remove(t, "1/succession")
		}, []string{"deleted: the logs before it are missing: its first entry names the one before"}},
		{"entries of a log taken out", func(t *testing.T, x *exported) {
			x.remove(t, "0/tile")
		}, []string{"deleted: log 0: its 700 entries are gone, and no sealed entry says that it was dropped"}},
		{"entries of the newest log taken out", func(t *testing.T, x *exported) {
			x.remove(t, "1/tile")
		}, []string{"deleted: log 1: its 300 entries are gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			x := makeExported(t)
			c.spoil(t, x)
			r := x.verify(t, &audit.ExportOptions{PlatformKey: x.platform[0].Vkey, Tenant: tenancy.ID(x.tenant)})
			if c.want == nil {
				if r.OK() {
					t.Error("nothing was found")
				}
				return
			}
			wantFound(t, r, c.want...)
		})
	}
}

// Only what was held outside shows that the holder of the keys wrote another
// history.
func TestVerifyExportAgainstCheckpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, x *exported)
		want  []string
	}{
		{"rewritten", func(t *testing.T, x *exported) {
			x.logs[1].Leaves = x.logs[1].Leaves[:1]
			x.logs[1].Add(t, "other.word", uuid.Nil, nil)
			x.logs[1].Fill(t, 400)
		}, []string{"checkpoint: log 1: the first 300 entries are not those of the checkpoint held outside"}},
		{"end cut off", func(_ *testing.T, x *exported) {
			x.logs[1].Leaves = x.logs[1].Leaves[:250]
		}, []string{"tail cut: log 1: the log has 250 entries; a checkpoint held outside covers 300"}},
		{"only grown", func(t *testing.T, x *exported) { x.logs[1].Fill(t, 600) }, []string{}},
		{"newest log taken out", func(*testing.T, *exported) {}, []string{"checkpoint: a checkpoint that is held outside is forged, damaged or of another log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			x := makeExported(t)
			held := [][]byte{x.heldEarly, x.read(t, "1/checkpoint")}
			c.spoil(t, x)
			x.remove(t, "1")
			if c.name != "newest log taken out" {
				x.write(t)
			}
			wantFound(t, x.verify(t, nil)) // sound by itself
			wantFound(t, x.verify(t, &audit.ExportOptions{Checkpoints: held}), c.want...)
			wantFound(t, x.verify(t, &audit.ExportOptions{Checkpoints: [][]byte{x.platform[0].Sign(t, x.platform[0].Head(t, 2))}}),
				"checkpoint: a checkpoint that is held outside is forged")
		})
	}
}

// After a restore the succession owns up to what was lost, and to no more.
func TestVerifyExportRestored(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := makeExported(t)
	lost := []audit.Checkpoint{x.logs[0].Head(t, 690), x.logs[0].Head(t, 700)}
	x.logs[0].Leaves = x.logs[0].Leaves[:650]
	x.logs[1].Leaves = nil
	x.logs[0].Follow(t, x.logs[1], audit.CauseRestore, &lost[0])
	x.remove(t, "0", "1")
	x.write(t)
	held := func(c audit.Checkpoint) *audit.ExportOptions {
		return &audit.ExportOptions{Checkpoints: [][]byte{x.logs[0].Sign(t, c)}}
	}
	r := x.verify(t, held(lost[0]))
	wantFound(t, r)
	if r.Logs[0].Lost != 40 || r.Logs[1].Cause != audit.CauseRestore {
		t.Errorf("got %+v", r.Logs)
	}
	wantFound(t, x.verify(t, held(lost[1])), "tail cut: log 0: the log has 650 entries; a checkpoint held outside covers 700")
	lost[0].Root[3] ^= 1
	wantFound(t, x.verify(t, held(lost[0])), "tail cut: log 0: the log has 650 entries; a checkpoint held outside covers 690")
}

// A log may be gone only if a sealed entry of a later one says so.
func TestVerifyExportDropped(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := makeExported(t)
	x.logs[1].Add(t, "audit.drop", x.logs[0].ID, nil)
	x.remove(t, "0", "1")
	x.write(t)
	x.remove(t, "0/tile", "0/opening")
	r := x.verify(t, &audit.ExportOptions{PlatformKey: x.platform[0].Vkey})
	wantFound(t, r)
	if !r.Logs[0].Dropped || r.Logs[1].Dropped || r.Checked != 301 {
		t.Errorf("got %+v", r)
	}
	x.bundle(t, "1/tile/entries/001.p/45", func(l [][]byte) [][]byte { return l[:44] })
	wantFound(t, x.verify(t, nil), "deleted: log 0: its 700 entries are gone", "tail cut: log 1: the last entries are gone")
}

// Entries that were copied from elsewhere in the log are known again.
func TestVerifyExportCopied(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := makeExported(t)
	audit.Replace(t, x.path("1/tile/entries/001.p/44"), audit.MakeBundle(x.logs[1].Leaves[100:144]))
	r := x.verify(t, nil)
	if len(r.Findings) != 44 || r.More != 0 || r.Findings[3].Text != "a copy of entry 103 stands in the place of entry 259" {
		t.Errorf("got %+v", r.Findings)
	}
}

// A log says nothing about those that follow it.
func TestVerifyExportDroppedByEarlier(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := &exported{dir: t.TempDir()}
	a, b, c := audit.NewTestLog(t, 1, uuid.Nil), audit.NewTestLog(t, 2, uuid.Nil), audit.NewTestLog(t, 3, uuid.Nil)
	a.Add(t, "audit.drop", b.ID, nil)
	a.Follow(t, b, audit.CausePeriod, nil)
	b.Fill(t, 4)
	b.Follow(t, c, audit.CausePeriod, nil)
	for i, l := range []*audit.TestLog{a, b, c} {
		l.Write(t, x.path(fmt.Sprint(i)), true)
	}
	wantFound(t, x.verify(t, nil))
	x.remove(t, "1/tile")
	wantFound(t, x.verify(t, nil), "deleted: log 1: its 4 entries are gone")
}

// A range reads no bundle outside of it, and finds what is wrong inside.
func TestVerifyExportRange(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	x := makeExported(t)
	x.flip(t, "0/tile/entries/001", 30)
	wantFound(t, x.verify(t, &audit.ExportOptions{From: 512, To: 700}))
	wantFound(t, x.verify(t, &audit.ExportOptions{To: 256}))
	wantFound(t, x.verify(t, &audit.ExportOptions{From: 700}))
	wantFound(t, x.verify(t, &audit.ExportOptions{From: 511, To: 512}), "edited: log 0: entry 256")
	if r := x.verify(t, &audit.ExportOptions{From: 960, To: 2000}); r.Checked != 256+256+44 { // the first of each log, and the last
		t.Errorf("checked %d", r.Checked)
	}
	for _, o := range []audit.ExportOptions{{From: -1}, {To: -1}, {From: 2, To: 1}} {
		_, err := audit.VerifyExport(t.Context(), x.dir, &o)
		wantErr(t, err, audit.ErrRange)
	}
}

// The upper levels of a larger tree are checked and mended too.
func TestVerifyExportLevels(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	const n = 65536 + 300
	log := audit.NewTestLog(t, 3, uuid.Nil)
	log.Fill(t, n)
	x := &exported{dir: t.TempDir()}
	log.Write(t, x.path("0"), true)
	if r := x.verify(t, nil); !r.OK() || r.Checked != n {
		t.Fatalf("got %+v", r)
	}
	x.flip(t, "0/tile/1/000", 64)
	wantFound(t, x.verify(t, nil), "tile damaged: tile/1/000 does not hold")
	x.flip(t, "0/tile/0/002", 64)
	wantFound(t, x.verify(t, &audit.ExportOptions{MaxFindings: 10}),
		"tile damaged: the entries below tile/1/000 cannot be compared", "tile damaged: tile/1/000 does not hold")
}

// An entry that was taken out of a long log, with all that follow moved up, is one
// finding, and does not keep all of the log in memory.
func TestVerifyExportDeletedEarly(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	dir, log := small(t, 100*256)
	for n := range 100 {
		leaves := log.Leaves[n*256+1 : min((n+1)*256+1, len(log.Leaves))]
		if n == 0 {
			leaves = append(append([][]byte{}, log.Leaves[:9]...), log.Leaves[10:257]...)
		}
		audit.Replace(t, filepath.Join(dir, "0", "tile", "entries", fmt.Sprintf("%03d", n)), audit.MakeBundle(leaves))
	}
	for range 5 {
		r, err := audit.VerifyExport(t.Context(), dir, nil)
		must(t, err)
		wantFound(t, r, "deleted: entry 9 is gone", "deleted: so much is wrong that not all entries were compared")
	}
}
