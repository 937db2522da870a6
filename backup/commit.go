package backup

import (
	"context"
	"errors"
	"time"

	"github.com/art32/art32/internal/sshsig"
)

// describe writes the manifest.
func (r *run) describe(ctx context.Context) error {
	r.manifest.Parts = r.sink.files
	r.manifest.Ended = time.Now().UTC().Truncate(time.Microsecond)
	text, err := r.manifest.encode()
	if err != nil {
		return err
	}
	_, err = r.put(ctx, manifestName, text)
	return err
}

// complete looks that the target holds what the manifest names.
func (r *run) complete(ctx context.Context) error {
	names, err := r.target.List(ctx, r.manifest.Run+"/")
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	for _, f := range append(r.manifest.Parts, r.manifest.Texts...) {
		if !there[r.manifest.Run+"/"+f.Name] {
			return damaged(f.Name, "it is not in the target although it was written")
		}
	}
	return nil
}

// commit signs the manifest: from here on the run exists.
func (r *run) commit(ctx context.Context) error {
	text, err := readText(ctx, below(r.target, r.manifest.Run), manifestName)
	if err != nil {
		return err
	}
	want, err := r.manifest.encode()
	if err != nil {
		return err
	}
	if string(text) != string(want) {
		return damaged(manifestName, "the target does not give back what was written")
	}
	r.digest = digestOf(text)
	_, err = r.put(ctx, signatureName, sshsig.Sign(r.vault.signer.key, namespaceManifest, text))
	r.step("committed")
	return err
}

// create begins an object of the run.
func (r *run) create(ctx context.Context, name string) (Object, error) {
	return r.target.Create(ctx, r.manifest.Run+"/"+name)
}

// put writes a small object.
func (r *run) put(ctx context.Context, name string, text []byte) (File, error) {
	o, err := r.create(ctx, name)
	if err != nil {
		return File{}, err
	}
	if _, err := o.Write(text); err != nil {
		return File{}, errors.Join(err, o.Abort())
	}
	if err := o.Commit(ctx); err != nil {
		return File{}, err
	}
	return File{Name: name, Size: int64(len(text)), SHA256: digestOf(text)}, nil
}
