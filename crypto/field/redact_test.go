package field_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/art32/art32/crypto/field"
)

const canary = "canary-4711"

type person struct {
	Email  field.Encrypted[string]
	hidden field.Encrypted[string] // fmt asks no method of an unexported field
	bytes  field.Encrypted[[]byte]
}

func samples() map[string]any {
	e := field.New(canary)
	p := person{e, e, field.New([]byte(canary))}
	return map[string]any{"value": e, "pointer": &e, "struct": p, "struct pointer": &p, "slice": []person{p}, "map": map[string]person{"k": p}}
}

func TestNothingShows(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, v := range samples() {
		for _, verb := range "vsqxXdoObtTpcUeEfFgGw" {
			for _, flags := range []string{"", "+", "#", "-20", "020", "."} {
				format := "%" + flags + string(verb)
				check(t, name+" "+format, fmt.Sprintf(format, v))
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		check(t, name+" slog", log.String())
		text, err := json.Marshal(v)
		check(t, name+" json", fmt.Sprint(string(text), err))
		text, err = xml.Marshal(v)
		check(t, name+" xml", fmt.Sprint(string(text), err))
		check(t, name+" error", fmt.Errorf("x: %v", v).Error())
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for name, v := range samples() {
		var out bytes.Buffer
		if err := template.Must(template.New("").Parse(`{{.}} {{print .}} {{printf "%s" .}}`)).Execute(&out, v); err != nil {
			t.Error(err)
		}
		page := `<a title="{{.}}">{{.}}</a><script>var v = {{.}}</script>`
		if err := htmltemplate.Must(htmltemplate.New("").Parse(page)).Execute(&out, v); err != nil {
			t.Error(err)
		}
		check(t, name+" template", out.String())
	}
}

func check(t *testing.T, name, shown string) {
	t.Helper()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte(canary)), "Y2FuYXJ5"} {
		if strings.Contains(shown, form) {
			t.Errorf("%s shows the content: %s", name, shown)
		}
	}
}

func TestMarkerIsShown(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]field.Encrypted[string]{"value": field.New(canary), "null": {}} {
		if got := fmt.Sprintf("%v %s %q %d", e, e, e, e); got != strings.TrimSpace(strings.Repeat(field.Redacted+" ", 4)) {
			t.Errorf("%s: %s", name, got)
		}
		if got := e.String() + e.GoString() + e.LogValue().String(); got != strings.Repeat(field.Redacted, 3) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestUnmarshalJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"[encrypted]"`, `" [encrypted] "`, `"\u005bencrypted]"`} {
		var e field.Encrypted[string]
		if err := json.Unmarshal([]byte(text), &e); err == nil {
			t.Errorf("the marker %s came in", text)
		}
		var b field.Encrypted[[]byte]
		if err := json.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("the marker %s came in as bytes", text)
		}
	}
	var body struct {
		Email, Phone field.Encrypted[string]
		Age          field.Encrypted[int]
	}
	body.Phone = field.New("old")
	if err := json.Unmarshal([]byte(`{"Email":"a@example.org","Phone":null,"Age":41}`), &body); err != nil {
		t.Fatal(err)
	}
	email, _ := body.Email.Reveal()
	age, _ := body.Age.Reveal()
	if email != "a@example.org" || age != 41 || !body.Phone.IsNull() || !body.Email.Fresh() {
		t.Errorf("got %q, %d, NULL %t", email, age, body.Phone.IsNull())
	}
	err := json.Unmarshal([]byte(`{"Age":"`+canary+`"}`), &body)
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("wrong type: %v", err)
	}
}

// TestMarkerIsNotStored covers the ways that do not lead through JSON, such as
// a form.
func TestMarkerIsNotStored(t *testing.T) {
	t.Parallel()
	for _, text := range []string{field.Redacted, " " + field.Redacted + "\n"} {
		e := field.New(text)
		if err := e.Seal(newCipher(t, 1), place); err == nil {
			t.Errorf("%q was sealed", text)
		}
	}
}
