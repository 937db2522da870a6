package tenancy_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

var (
	agent = tenancy.Person(uuid.MustParse("6f9619ff-8b86-4d11-b42d-00c04fc964ff"))
	user  = tenancy.Person(uuid.MustParse("0191e6a0-0000-7000-8000-000000000004"))
)

func TestActorForAnother(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	importer, system := tenancy.MustService("import"), tenancy.MustSystem("retention")
	both := agent.For(user)
	if got, want := both.String(), agent.String()+" for "+user.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if both.Acting() != agent || both.Behalf() != user || agent.Acting() != agent || !agent.Behalf().IsZero() {
		t.Errorf("got %v for %v, %v for %v", both.Acting(), both.Behalf(), agent.Acting(), agent.Behalf())
	}
	for _, a := range []tenancy.Actor{agent, both, importer.For(user), agent.For(importer)} {
		if !a.HasPerson() {
			t.Errorf("%s: no person", a)
		}
	}
	if importer.HasPerson() || system.HasPerson() || importer.For(importer).HasPerson() || (tenancy.Actor{}).HasPerson() {
		t.Error("a program is a person")
	}
	for name, a := range map[string]tenancy.Actor{
		"second level": both.For(importer), "for one who acts for another": importer.For(both), "system for a person": system.For(user),
		"for the system": agent.For(system), "nobody": tenancy.Actor{}.For(user), "for nobody": agent.For(tenancy.Actor{}),
	} {
		if !a.IsZero() {
			t.Errorf("%s: got %v", name, a)
		}
	}
}

func TestParseActor(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	importer := tenancy.MustService("import/csv")
	for _, a := range []tenancy.Actor{agent, importer, tenancy.MustSystem("retention"), agent.For(user), importer.For(user), agent.For(importer)} {
		if got, err := tenancy.ParseActor(a.String()); err != nil || got != a {
			t.Errorf("%s: got %v, %v", a, got, err)
		}
	}
	for _, text := range []string{
		"", "person:", "person:petra", "Service:x", "service:", "service:X", "system:a b", "root:x", strings.ToUpper(agent.String()),
		"person:6F9619FF-8B86-4D11-B42D-00C04FC964FF", "person:{6f9619ff-8b86-4d11-b42d-00c04fc964ff}", agent.String() + " for ",
		agent.String() + " for " + user.String() + " for " + user.String(), "system:x for " + user.String(), " for " + user.String(),
		agent.String() + "  for " + user.String(), agent.String() + " for system:x", agent.String() + "\n",
	} {
		a, err := tenancy.ParseActor(text)
		if err == nil || !a.IsZero() {
			t.Errorf("%q is read as %v", text, a)
		}
		if err != nil && strings.Contains(err.Error(), "petra") {
			t.Errorf("shows what it read: %v", err)
		}
	}
	for _, name := range []string{"", "Retention", "a b", "a.b", strings.Repeat("a", 64)} {
		if a, err := tenancy.System(name); err == nil || !a.IsZero() {
			t.Errorf("system %q is %v", name, a)
		}
	}
}
