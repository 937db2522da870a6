package field_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"reflect"
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

// TestTemplates: a template shows the content only where it calls Reveal or
// RevealAny by name.
func TestTemplates(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, v := range samples() {
		var out bytes.Buffer
		if err := template.Must(template.New("").Parse(`{{.}} {{print .}} {{printf "%s" .}}`)).Execute(&out, v); err != nil {
			t.Error(err)
		}
		page := `<a title="{{.}}" href="/{{.}}" onclick="f({{.}})">{{.}}</a><script>var v = {{.}}</script><style>p { color: {{.}} }</style>`
		if err := htmltemplate.Must(htmltemplate.New("").Parse(page)).Execute(&out, v); err != nil {
			t.Error(err)
		}
		check(t, name+" template", out.String())
	}
}

// TestTemplateTricks runs what a template can do to a field, as it came from the
// database and new, by value and by pointer.
func TestTemplateTricks(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	type page struct{ Fresh, Loaded, Clear, Raw field.Encrypted[string] }
	c := newCipher(t, 1)
	p := page{Fresh: field.New(canary), Clear: loaded[string]([]byte(canary)), Raw: loaded[string]([]byte(canary))}
	p.Loaded = loaded[string](must(c.Seal(nil, []byte(canary), place)))
	p.Loaded.Attach(c, place)
	p.Clear.Attach(c.Accepting(migration(t)), place)
	tricks := []string{
		`{{@}}`, `{{print @}}`, `{{println @ @}}`, `{{printf "%v %s %q %x %#v %+v %d" @ @ @ @ @ @ @}}`,
		`{{html @}}`, `{{js @}}`, `{{urlquery @}}`, `{{. | printf "%v"}}`, `{{@ | print | html}}`,
		`{{with @}}{{.}}{{end}}`, `{{if @}}{{@}}{{end}}`, `{{$x := @}}{{$x}}`, `{{range @}}{{.}}{{end}}`, `{{range $i, $v := @}}{{$v}}{{end}}`,
		`{{index @ 0}}`, `{{slice @ 0 3}}`, `{{len @}}`, `{{call @}}`, `{{eq @ @}}`, `{{lt @ "x"}}`, `{{not @}}`, `{{and @ @}}`, `{{or @ "x"}}`,
		`{{@.String}}`, `{{@.GoString}}`, `{{@.LogValue}}`, `{{@.MarshalText}}`, `{{@.MarshalJSON}}`, `{{printf "%s" @.MarshalJSON}}`,
		`{{@.Value}}`, `{{printf "%s" @.Value}}`, `{{@.Ciphertext}}`, `{{printf "%s" @.Ciphertext}}`, `{{@.IndexText}}`, `{{@.PlainType}}`,
		`{{@.Equal @}}`, `{{@.IsNull}}`, `{{@.Fresh}}`, `{{@.plain}}`, `{{@.ciphertext}}`, `{{@.cipher}}`, `{{call @.plain}}`, `{{@.scope}}`,
		`{{template "t" @}}{{define "t"}}{{.}}{{end}}`, `{{block "b" @}}{{.}}{{end}}`,
	}
	for _, trick := range tricks {
		for _, name := range []string{"Fresh", "Loaded", "Clear", "Raw"} {
			text := strings.ReplaceAll(trick, "@", "."+name)
			var out bytes.Buffer
			for _, data := range []any{p, &p} {
				err := template.Must(template.New("").Parse(text)).Execute(&out, data)
				fmt.Fprintln(&out, err) // many are errors, which must not show it either
				err = htmltemplate.Must(htmltemplate.New("").Parse(text)).Execute(&out, data)
				fmt.Fprintln(&out, err)
			}
			check(t, text, out.String())
		}
	}
	for _, name := range []string{"Fresh", "Loaded", "Clear"} {
		for _, method := range []string{"Reveal", "RevealAny"} {
			var out bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.`+name+"."+method+`}}`)).Execute(&out, p)
			if err != nil || out.String() != canary {
				t.Errorf("%s.%s by name: %q, %v", name, method, out.String(), err)
			}
		}
	}
}

// TestEncoders are those of the standard library that look into values.
func TestEncoders(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, v := range samples() {
		var out bytes.Buffer
		for coder, encode := range map[string]func() error{
			"gob":    func() error { return gob.NewEncoder(&out).Encode(v) },
			"json":   func() error { e := json.NewEncoder(&out); e.SetIndent("", " "); return e.Encode(v) },
			"xml":    func() error { return xml.NewEncoder(&out).Encode(v) },
			"binary": func() error { return binary.Write(&out, binary.BigEndian, v) },
			"asn1":   func() error { b, err := asn1.Marshal(v); out.Write(b); return err },
			"flag": func() error {
				f := flag.NewFlagSet("", flag.ContinueOnError)
				f.SetOutput(&out)
				f.Var(flagOf{v}, "v", "")
				f.PrintDefaults()
				return nil
			},
			"panic": func() (err error) {
				defer func() { err = fmt.Errorf("%v", recover()) }()
				panic(v)
			},
		} {
			err := encode()
			check(t, name+" "+coder, out.String()+fmt.Sprint(err))
		}
	}
	type attr struct {
		Email field.Encrypted[string] `xml:"email,attr"`
	}
	text, err := xml.Marshal(attr{field.New(canary)})
	if err != nil || !strings.Contains(string(text), field.Redacted) {
		t.Errorf("%s, %v", text, err)
	}
	check(t, "xml attribute", string(text))
}

type flagOf struct{ v any }

func (f flagOf) String() string   { return fmt.Sprint(f.v) }
func (f flagOf) Set(string) error { return nil }

// TestReflection walks through all that package reflect can see, unexported
// fields and pointers too, as dumps and encoders of other formats do: it meets
// neither content nor keys.
func TestReflection(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 'K')
	p := person{Email: field.New(canary), hidden: field.New(canary), bytes: field.New([]byte(canary))}
	back := loaded[string](must(c.Seal(nil, []byte(canary), place)))
	back.Attach(c.With(newCipher(t, 'K')), place)
	inClear := loaded[string]([]byte(canary))
	inClear.Attach(c.Accepting(migration(t)), place)
	w := must(c.SealStream(io.Discard, place))
	must(w.Write([]byte(canary)))
	for name, v := range map[string]any{"row": &p, "loaded": &back, "in clear": &inClear, "cipher": c, "writer": w} {
		var seen strings.Builder
		walk(reflect.ValueOf(v), &seen, map[any]bool{})
		check(t, name, seen.String())
		if strings.Contains(seen.String(), "KKKK") || seen.Len() > 2000 {
			t.Errorf("%s: %d bytes seen", name, seen.Len())
		}
	}
	var seen strings.Builder
	walk(reflect.ValueOf(&struct{ hidden *[]byte }{new([]byte(canary))}), &seen, map[any]bool{})
	if !strings.Contains(seen.String(), canary) {
		t.Error("the walk sees nothing")
	}
}

// walk writes all strings, bytes and numbers that v leads to.
func walk(v reflect.Value, seen *strings.Builder, been map[any]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !been[v.Pointer()] {
			been[v.Pointer()] = true
			walk(v.Elem(), seen, been)
		}
	case reflect.Interface:
		walk(v.Elem(), seen, been)
	case reflect.Struct:
		for _, f := range v.Fields() {
			walk(f, seen, been)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), seen, been)
		}
	case reflect.Map:
		for k, e := range v.Seq2() {
			walk(k, seen, been)
			walk(e, seen, been)
		}
	case reflect.Uint8:
		seen.WriteByte(byte(v.Uint()))
	case reflect.String:
		seen.WriteString(v.String())
	default:
		fmt.Fprint(seen, v)
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
