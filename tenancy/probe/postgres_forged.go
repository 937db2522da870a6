package probe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// forgery makes a context out of the one that a transaction has.
type forgery struct {
	name Text
	make func(own string) string
}

// forgedContext puts contexts in place of the sealed one, and looks whether any row
// shows.
func forgedContext(ctx context.Context, p *prober) (all []Result) {
	minted := p.minted(ctx)
	for _, t := range p.tables {
		if t.ofA == 0 || t.ofB == 0 {
			continue
		}
		count := "SELECT count(*) FROM " + t.sql
		same := func(own string) string { return own }
		if n, err := p.under(ctx, p.a, same, count); err != nil || n != t.ofA {
			if kindOf(err) == engine.Forbidden {
				all = append(all, held(t.name))
				continue
			}
			all = append(all, notProbed(t.name, "the tenant does not see its own rows in it", "der Mandant sieht darin die eigenen Zeilen nicht"))
			continue
		}
		all = append(all, p.forge(ctx, t, minted))
	}
	return all
}

// forge tries each forgery on a table.
func (p *prober) forge(ctx context.Context, t table, minted func(tenant uuid.UUID, expires time.Time) string) Result {
	count, b := "SELECT count(*) FROM "+t.sql, p.b.String()
	tries := []forgery{
		{Text{"the id alone", "die Kennung allein"}, func(string) string { return b }},
		{Text{"a claim without seal", "eine Angabe ohne Siegel"}, func(string) string { return "1." + b + "." + actor + "..9999999999." + strings.Repeat("0", 64) }},
		{Text{"another tenant under the own seal", "ein anderer Mandant unter dem eigenen Siegel"}, func(own string) string { return swapped(own, 1, b) }},
		{Text{"another actor under the own seal", "ein anderer Handelnder unter dem eigenen Siegel"}, func(own string) string { return swapped(own, 2, "service:other") }},
		{Text{"a longer life", "eine längere Gültigkeit"}, func(own string) string { return swapped(own, 4, "99999999999") }},
		{Text{"a seal cut short", "ein gekürztes Siegel"}, func(own string) string { return own[:max(0, len(own)-1)] }},
	}
	if minted != nil {
		tries = append(tries, forgery{Text{"an expired context", "ein abgelaufener Kontext"}, func(string) string { return minted(p.b, p.now().Add(-time.Hour)) }})
	}
	for _, f := range tries {
		if n, err := p.under(ctx, p.a, f.make, count); err == nil && n != 0 {
			return broken(t.name, fmt.Sprintf("%s was taken: %d rows", f.name.English, n), fmt.Sprintf("%s wurde angenommen: %d Zeilen", f.name.German, n))
		}
	}
	result := p.replayed(ctx, t)
	if minted == nil && result.State == Held {
		result.What = Text{"an expired context was not tried", "ein abgelaufener Kontext wurde nicht versucht"}
	}
	return result
}

// replayed carries the context of A into a transaction of B: it shows nothing of B.
func (p *prober) replayed(ctx context.Context, t table) Result {
	var token string
	err := p.inCaller(ctx, engine.Scope{Tenant: p.a}, func(tx engine.SQLTx) error {
		return tx.SQLX().GetContext(ctx, &token, "SELECT current_setting('art32.ctx')")
	})
	if err != nil {
		return stoppedAt(t.name, err)
	}
	n, err := p.under(ctx, p.b, func(string) string { return token }, "SELECT count(*) FROM "+t.sql+" WHERE "+t.tenant+" = '"+p.b.String()+"'")
	if err == nil && n != 0 {
		return broken(t.name, fmt.Sprintf("the context of another transaction was taken and not heeded: %d rows", n),
			fmt.Sprintf("der Kontext einer anderen Transaktion wurde angenommen und nicht beachtet: %d Zeilen", n))
	}
	return held(t.name)
}

// under runs a text under a context in place of the transaction's own.
func (p *prober) under(ctx context.Context, tenant uuid.UUID, forge func(own string) string, text string) (n int64, err error) {
	err = p.inCaller(ctx, engine.Scope{Tenant: tenant}, func(tx engine.SQLTx) error {
		var own, set string
		if err := tx.SQLX().GetContext(ctx, &own, "SELECT current_setting('art32.ctx')"); err != nil {
			return err
		}
		if err := tx.SQLX().GetContext(ctx, &set, "SELECT set_config('art32.ctx', $1, true)", forge(own)); err != nil {
			return err
		}
		n, err = execute(ctx, tx, text)
		return err
	})
	return n, err
}

// swapped puts another part into a context.
func swapped(own string, part int, with string) string {
	parts := strings.Split(own, ".")
	if part < len(parts) {
		parts[part] = with
	}
	return strings.Join(parts, ".")
}

// minted seals contexts as docs/formats/sealed-context.md says, so that one can be
// tried that has expired. It is nil where what it seals would not be taken even
// while valid: nothing could be told from its refusal.
func (p *prober) minted(ctx context.Context) func(tenant uuid.UUID, expires time.Time) string {
	keys, err := p.texts(ctx, uuid.Nil, 3, "SELECT id::text, encode(ipad, 'hex'), encode(opad, 'hex') FROM art32.seal_keys ORDER BY id DESC LIMIT 1")
	if err != nil || len(keys) == 0 {
		return nil
	}
	pad, err := hex.DecodeString(keys[0][1])
	if err != nil {
		return nil
	}
	for i := range pad {
		pad[i] ^= 0x36
	}
	mint := func(tenant uuid.UUID, expires time.Time) string {
		text := keys[0][0] + "." + tenant.String() + "." + actor + ".." + strconv.FormatInt(expires.Unix(), 10)
		h := hmac.New(sha256.New, pad)
		h.Write([]byte(text))
		return text + "." + hex.EncodeToString(h.Sum(nil))
	}
	_, err = p.under(ctx, p.a, func(string) string { return mint(p.a, p.now().Add(time.Minute)) }, "SELECT count(*) FROM art32.ctx")
	if err != nil {
		return nil
	}
	return mint
}
