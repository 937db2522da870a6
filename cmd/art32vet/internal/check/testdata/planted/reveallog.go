package planted

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/art32/art32/crypto/field"
)

type person struct {
	Name   field.Encrypted[string]
	Salary field.Encrypted[int]
}

type named struct{ Name string }

// mail is what a conversion makes.
type mail string

func logs(ctx context.Context, logger *slog.Logger, p *person) {
	name, err := p.Name.Reveal()
	slog.Info(name)                                               // want `a revealed value reaches the log: pass the field itself, which shows as \[encrypted\], or an id`
	slog.InfoContext(ctx, "saved", "name", name)                  // want `reaches the log`
	slog.Error("saved", "name", name, "err", err)                 // want `reaches the log`
	slog.Log(ctx, slog.LevelInfo, name)                           // want `reaches the log`
	slog.With("name", name)                                       // want `reaches the log`
	logger.Warn("saved", "name", name)                            // want `reaches the log`
	logger.LogAttrs(ctx, slog.LevelInfo, "", slog.Any("n", name)) // want `reaches the log`
	logger.With("name", name)                                     // want `reaches the log`
	_ = slog.String("name", name)                                 // want `reaches the log`
	_ = slog.Group("person", "name", name)                        // want `reaches the log`
	_ = slog.Attr{Key: "name", Value: slog.StringValue(name)}     // want `reaches the log`
	log.Print(name)                                               // want `reaches the log`
	log.Printf("name %s", name)                                   // want `reaches the log`
	log.New(os.Stderr, "", 0).Println(name)                       // want `reaches the log`
	fmt.Println(name)                                             // want `reaches standard output`
	fmt.Printf("%s\n", name)                                      // want `reaches standard output`
	fmt.Fprintf(os.Stderr, "%s\n", name)                          // want `reaches standard output`
	fmt.Fprintln(os.Stdout, name)                                 // want `reaches standard output`
	print(name)                                                   // want `reaches standard output`
	_ = fmt.Errorf("no mail for %s", name)                        // want `reaches an error's text`
	_ = errors.New("no mail for " + name)                         // want `reaches an error's text`
	log.Print(p.Name.Reveal())                                    // want `reaches the log`
	log.Print(must(p.Name.Reveal()))                              // want `reaches the log`
}

func ways(p *person) {
	name, _ := p.Name.Reveal()
	salary, _ := p.Salary.Reveal()
	found, _ := p.Name.RevealAny()
	text, ok := found.(string)
	local := name
	var declared = local
	shown := fmt.Sprintf("name=%s", declared)
	joined := "name=" + name
	built := ""
	built += name
	user, host, ok := strings.Cut(name, "@")
	list := append([]string{"x"}, name)
	keep := &named{}
	keep.Name = name
	var copied struct{ name string }
	copied.name = name
	log.Print(mail(name))                      // want `reaches the log`
	log.Print([]byte(name))                    // want `reaches the log`
	log.Print(text, ok)                        // want `reaches the log`
	log.Print(shown)                           // want `reaches the log`
	log.Print(joined)                          // want `reaches the log`
	log.Print(built)                           // want `reaches the log`
	log.Print(user)                            // want `reaches the log`
	log.Print(host)                            // want `reaches the log`
	log.Print(list)                            // want `reaches the log`
	log.Print(list[1])                         // want `reaches the log`
	log.Print(keep.Name)                       // want `reaches the log`
	log.Print(copied.name)                     // want `reaches the log`
	log.Print(name[:1])                        // want `reaches the log`
	log.Print(&name)                           // want `reaches the log`
	log.Print(strings.ToUpper(name))           // want `reaches the log`
	log.Print(named{Name: name})               // want `reaches the log`
	log.Print(map[string]string{"name": name}) // want `reaches the log`
	log.Print(salary)                          // want `reaches the log`
	log.Print(salary * 12)                     // want `reaches the log`
	log.Print(strconv.Itoa(salary))            // want `reaches the log`
	for _, r := range name {
		log.Print(string(r)) // want `reaches the log`
	}
	last, next := "", ""
	for range 3 {
		log.Print(last) // want `reaches the log`
		last = next
		next = name
	}
	func() { log.Print(name) }() // want `reaches the log`
	//art32:allow reveallog // want `excuses nothing without a reason`
	log.Print(name) // want `reaches the log`
}

func parsed(p *person) {
	name, _ := p.Name.Reveal()
	n, err := strconv.Atoi(name)
	log.Print(n)                   // want `reaches the log`
	log.Print(err)                 // want `reaches the log`
	_ = fmt.Errorf("age: %w", err) // want `reaches an error's text`
	if _, err := strconv.ParseBool(name); err != nil {
		slog.Error("no bool", "err", err) // want `reaches the log`
	}
	born, err := time.Parse(time.DateOnly, name)
	log.Print(born)        // want `reaches the log`
	log.Print(err.Error()) // want `reaches the log`
	_, err = url.Parse(name)
	defer log.Print(err) // want `reaches the log`
}

func buffers(p *person) {
	name, _ := p.Name.Reveal()
	var b strings.Builder
	b.WriteString(name)
	log.Print(b.String()) // want `reaches the log`
	var f bytes.Buffer
	fmt.Fprintf(&f, "name=%s", name)
	log.Print(f.String())                  // want `reaches the log`
	log.Printf("%s", f.Bytes())            // want `reaches the log`
	log.Print(bytes.NewBufferString(name)) // want `reaches the log`
	heap := &strings.Builder{}
	io.WriteString(heap, name)
	log.Print(heap)                                        // want `reaches the log`
	log.Print(strings.NewReplacer("a", "b").Replace(name)) // want `reaches the log`
	for part := range strings.SplitSeq(name, " ") {
		log.Print(part) // want `reaches the log`
	}
}

func panics(p *person) {
	name, _ := p.Name.Reveal()
	if name == "" {
		panic(name) // want `reaches a panic's text`
	}
	os.Stderr.WriteString(name)     // want `reaches standard output`
	os.Stdout.Write([]byte(name))   // want `reaches standard output`
	io.WriteString(os.Stderr, name) // want `reaches standard output`
	panic("no mail for " + name)    // want `reaches a panic's text`
}

func methods(p *person) {
	reveal := p.Name.Reveal
	name, _ := reveal()
	log.Print(name) // want `reaches the log`
	any := p.Salary.RevealAny
	log.Print(any()) // want `reaches the log`
}

func order(p *person, again bool) {
	name := "none"
	var err error
	if again {
		name, err = p.Name.Reveal()
		log.Print(err)
	} else {
		log.Print(name)
	}
	log.Print(name) // want `reaches the log`
	name = "none"
	log.Print(name)
	_, err = strconv.Atoi(must(p.Name.Reveal()))
	log.Print(err) // want `reaches the log`
	err = errors.New("full")
	log.Print(err)
retry:
	log.Print(name) // want `reaches the log`
	if again {
		name, _ = p.Name.Reveal()
		goto retry
	}
	kept := ""
	later := func() { log.Print(kept) } // want `reaches the log`
	kept = name
	later()
	set := ""
	func() { set = name }()
	log.Print(set) // want `reaches the log`
}

func formats(p *person) {
	name, _ := p.Name.Reveal()
	log.Printf("%T %s", name, name)             // want `reaches the log`
	log.Printf("%T %[1]s", name)                // want `reaches the log`
	log.Printf("%d%% %T %-5.3s", 1, name, name) // want `reaches the log`
	log.Print(fmt.Sprintf("%T %T", name), name) // want `reaches the log`
}

func parts(p *person) {
	var n named
	log.Print(n)
	n.Name, _ = p.Name.Reveal()
	log.Printf("%+v", n) // want `reaches the log`
	log.Print(&n)        // want `reaches the log`
	m := map[string]string{}
	m["name"] = n.Name
	log.Print(m) // want `reaches the log`
	n = named{}
	log.Print(n)
}

func switches(p *person) {
	found, _ := p.Name.RevealAny()
	switch x := found.(type) {
	case string:
		log.Print(x) // want `reaches the log`
	case int, nil:
		log.Print(x) // want `reaches the log`
	}
}

func variables(p *person, logger *slog.Logger) {
	name, _ := p.Name.Reveal()
	w := os.Stderr
	fmt.Fprintln(w, name) // want `reaches standard output`
	w.WriteString(name)   // want `reaches standard output`
	var out io.Writer = os.Stdout
	io.Copy(out, strings.NewReader(name)) // want `reaches standard output`
	buffered := bufio.NewWriter(io.MultiWriter(out, io.Discard))
	buffered.WriteString(name)     // want `reaches standard output`
	fmt.Fprint(io.Writer(w), name) // want `reaches standard output`
	pr := log.Printf
	pr("name %s", name) // want `reaches the log`
	info, fail, show := logger.Info, fmt.Errorf, fmt.Println
	again := info
	again("saved", "name", name) // want `reaches the log`
	fail("no mail for %s", name) // want `reaches an error's text`
	func() { show(name) }()      // want `reaches standard output`
}

func handed(p *person) {
	name, _ := p.Name.Reveal()
	b := make([]byte, 100)
	n := copy(b, name)
	log.Print(string(b[:n])) // want `reaches the log`
	c := make([]byte, 100)
	copy(c[1:], b)
	log.Print(c, n)                          // want `reaches the log`
	log.Print(cmp.Or(name, "-"))             // want `reaches the log`
	log.Print(slices.Concat([]string{name})) // want `reaches the log`
	text, _ := io.ReadAll(strings.NewReader(name))
	log.Print(text) // want `reaches the log`
	doc, err := json.Marshal(name)
	log.Print(string(doc), err)                                   // want `reaches the log`
	log.Print(base64.StdEncoding.EncodeToString(doc))             // want `reaches the log`
	log.Print(regexp.MustCompile("a").ReplaceAllString(name, "")) // want `reaches the log`
}

func closures(p *person) {
	get := func() string { n, _ := p.Name.Reveal(); return n }
	log.Print(get()) // want `reaches the log`
	both := func() (city, name string, err error) {
		name, err = p.Name.Reveal()
		return
	}
	city, name, err := both()
	log.Print(city, err)
	log.Print(name) // want `reaches the log`
	reveal := func() (string, error) { return p.Name.Reveal() }
	name, err = reveal()
	log.Print(err)
	log.Print(name)                                   // want `reaches the log`
	log.Print(func() string { return get() + "!" }()) // want `reaches the log`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
