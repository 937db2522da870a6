package tenancy

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/sshsig"
)

// The version of erasure records, docs/formats/erasure-record.md.
const (
	ErasureRecordFormat  = "art32-erasure-record"
	ErasureRecordVersion = 1
)

// The kinds of [ErasureRecord].
const (
	RecordOfSubject = "data-subject"
	RecordOfTenant  = "tenant"
)

// recordNamespace keeps the signature from serving another purpose.
const recordNamespace = "art32-erasure"

// The errors of erasure records.
var (
	// ErrNotErased: no record can be issued, since the erasure is not complete.
	ErrNotErased = errors.New("tenancy: the erasure is not complete: repeat it until it returns nil")
	// ErrRecord: the text is no erasure record, or not one that was issued.
	ErrRecord = errors.New("tenancy: erasure record refused")
)

// ErasureRecord (Löschprotokoll) says what an erasure did, what stays, and where
// copies can still lie. It is what a controller gets and keeps (Art. 5(2) GDPR). It
// holds no data of the person beyond the id; whoever gives the reason must name
// nobody in it.
type ErasureRecord struct {
	Format  string    `json:"format"`  // [ErasureRecordFormat]
	Version int       `json:"version"` // [ErasureRecordVersion]
	ID      uuid.UUID `json:"id"`      // of the record; the log's event has it
	Kind    string    `json:"kind"`    // [RecordOfSubject] or [RecordOfTenant]
	// Controller is the tenant.
	Controller RecordController `json:"controller"`
	// DataSubject is who was erased, as the controller knows it.
	DataSubject uuid.UUID `json:"data_subject,omitzero"`
	ErasedAt    time.Time `json:"erased_at"` // by the clock of who erased
	// ReplayedAt is when the keystore was found to be older than the erasure of
	// somebody of the tenant and the keys were destroyed again; zero for never.
	// The lives of the copies count from then.
	ReplayedAt time.Time `json:"replayed_at,omitzero"`
	IssuedAt   time.Time `json:"issued_at"`        // by the clock of who issued
	IssuedBy   string    `json:"issued_by"`        // as [Actor.String] writes it
	Reason     string    `json:"reason,omitempty"` // as the issuer's context had it
	// Tables are those that tell of the person, or all of a tenant's.
	Tables []RecordTable `json:"tables"`
	// Untouched are the tables that name no data subject.
	Untouched []string `json:"untouched"`
	// Log is what was emptied in the log and what stays; nil for a log that
	// does not say.
	Log *LogRemains `json:"log"`
	// Ledger says that the ledger of erasures has the erasure, so that a restore
	// repeats it; false where the issuer had none.
	Ledger bool `json:"ledger"`
	// Copies are those of the keystore, as the operator has declared them.
	Copies []RecordCopy `json:"copies"`
	// Horizon is until when such a copy, or the cache of another instance, could
	// bring the key back.
	Horizon time.Time `json:"horizon"`
	// CacheSeconds is for how long after the erasure another instance could read
	// with a key in its memory. It could not write.
	CacheSeconds int64       `json:"cache_seconds"`
	Files        RecordFiles `json:"files"`
	Build        RecordBuild `json:"build"`
	Signer       string      `json:"signer"` // as in a file authorized_keys
}

// RecordController is the tenant in an [ErasureRecord].
type RecordController struct {
	ID   uuid.UUID `json:"id"`   // as [Tenant.ID]
	Name string    `json:"name"` // as [Tenant.Name]
}

// RecordTable is one table in an [ErasureRecord], by the names of its columns.
type RecordTable struct {
	Name       string   `json:"name"`       // as declared
	Rows       int64    `json:"rows"`       // that stay
	Unreadable []string `json:"unreadable"` // were encrypted; their key is gone
	Deleted    []string `json:"deleted"`    // were in clear; older copies of the data still hold them
	Indexes    []string `json:"indexes"`    // blind indexes, set to NULL
	Kept       []string `json:"kept"`       // of class open
}

// RecordCopy is a copy of the keystore in an [ErasureRecord].
type RecordCopy struct {
	Name        string `json:"name"`         // as the operator declared it
	LifeSeconds int64  `json:"life_seconds"` // how long it lives at most
}

// RecordFiles says what became of the bytes in the files of the database and its
// keystore.
type RecordFiles struct {
	Engine         string `json:"engine"`          // "sqlite" or "postgres"
	Overwritten    bool   `json:"overwritten"`     // what was deleted was overwritten at once
	LogEmptied     bool   `json:"log_emptied"`     // the write-ahead log was truncated
	UntilRewritten bool   `json:"until_rewritten"` // old row versions stay until their space is written again; VACUUM only frees it
	InLog          bool   `json:"in_log"`          // they stay in the write-ahead log and its archive for their own time
}

// RecordBuild is the program that issued an [ErasureRecord], as far as it knows.
type RecordBuild struct {
	Program  string `json:"program"`  // its module
	Version  string `json:"version"`  // of the module
	Revision string `json:"revision"` // in version control
	Modified bool   `json:"modified"` // something was not committed
}

// SignedErasureRecord is an erasure record with what was signed. The three texts
// are to be kept together.
type SignedErasureRecord struct {
	ErasureRecord

	Text      []byte // the record as JSON: the bytes that were signed
	Signature []byte // for ssh-keygen -Y verify, namespace art32-erasure
}

// sign fills in the signer and signs.
func (r *ErasureRecord) sign(key ed25519.PrivateKey) (*SignedErasureRecord, error) {
	r.Signer = sshsig.FormatSigner(key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // documented
	text, err := r.encode()
	if err != nil {
		return nil, err
	}
	return &SignedErasureRecord{ErasureRecord: *r, Text: text, Signature: sshsig.Sign(key, recordNamespace, text)}, nil
}

func (r *ErasureRecord) encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// maxRecord is more than any record needs.
const maxRecord = 8 << 20

// ParseErasureRecord reads a record in the one form that is written, and refuses
// any other with [ErrRecord]. It does not look at signatures.
func ParseErasureRecord(text []byte) (*ErasureRecord, error) {
	r := &ErasureRecord{}
	if len(text) > maxRecord {
		return nil, fmt.Errorf("%w: longer than any that is issued", ErrRecord)
	}
	if err := json.Unmarshal(text, r); err != nil { // the decoder's error quotes what is there
		return nil, fmt.Errorf("%w: not in the format %s", ErrRecord, ErasureRecordFormat)
	}
	again, err := r.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, fmt.Errorf("%w: not in the form that is written", ErrRecord)
	}
	return r, nil
}

// VerifyErasureRecord reads a record that signer has signed, a public key of the
// form "ssh-ed25519 AAAA…" that the caller knows from elsewhere ([DB.RecordSigner]).
// It refuses any other with [ErrRecord].
func VerifyErasureRecord(signer string, text, signature []byte) (*ErasureRecord, error) {
	key, err := sshsig.ParseSigner(signer)
	if err == nil {
		err = sshsig.Verify(key, recordNamespace, text, signature)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	r, err := ParseErasureRecord(text)
	if err != nil {
		return nil, err
	}
	if own, err := sshsig.ParseSigner(r.Signer); err != nil || !own.Equal(key) {
		return nil, fmt.Errorf("%w: another key signed than the one that the record names", ErrRecord)
	}
	return r, nil
}

func (r *ErasureRecord) check() error {
	_, signerErr := sshsig.ParseSigner(r.Signer)
	switch {
	case r.Format != ErasureRecordFormat || r.Version != ErasureRecordVersion:
		return fmt.Errorf("not in version %d of the format %s", ErasureRecordVersion, ErasureRecordFormat)
	case r.Kind != RecordOfSubject && r.Kind != RecordOfTenant || (r.Kind == RecordOfSubject) != (r.DataSubject != uuid.Nil):
		return errors.New("the kind is none, or does not fit the data subject")
	case r.ID == uuid.Nil || r.Controller.ID == uuid.Nil || !isActor(r.IssuedBy):
		return errors.New("id, controller or issuer is missing")
	case r.ErasedAt.IsZero() || r.IssuedAt.IsZero() || r.Horizon.Before(r.destroyed()) || r.CacheSeconds < 0:
		return errors.New("a time is missing or impossible")
	case r.Files.Engine == "" || signerErr != nil:
		return errors.New("engine or signer is missing")
	}
	return errors.Join(r.checkTables(), r.checkCopies())
}

// destroyed is from when on the lives of copies count.
func (r *ErasureRecord) destroyed() time.Time {
	if r.ReplayedAt.After(r.ErasedAt) {
		return r.ReplayedAt
	}
	return r.ErasedAt
}

func (r *ErasureRecord) checkTables() error {
	if r.Tables == nil || r.Untouched == nil || r.Log != nil && (r.Log.Emptied == nil || r.Log.Kept == nil) {
		return errors.New("a list is missing")
	}
	for i, t := range r.Tables {
		lists := [][]string{t.Unreadable, t.Deleted, t.Indexes, t.Kept}
		if !tableName(t.Name) || t.Rows < 0 || slices.ContainsFunc(lists, func(l []string) bool { return l == nil }) {
			return fmt.Errorf("table %d is none", i)
		}
		if slices.ContainsFunc(slices.Concat(lists...), func(c string) bool { return !identifier.MatchString(c) }) {
			return fmt.Errorf("a column of table %d is none", i)
		}
	}
	if slices.ContainsFunc(r.Untouched, func(name string) bool { return !tableName(name) }) {
		return errors.New("a table that was not touched is none")
	}
	return nil
}

func (r *ErasureRecord) checkCopies() error {
	if r.Copies == nil || slices.ContainsFunc(r.Copies, func(c RecordCopy) bool { return c.Name == "" || c.LifeSeconds < 0 }) {
		return errors.New("a copy of the keystore is none")
	}
	return nil
}
