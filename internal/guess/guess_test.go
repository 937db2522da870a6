package guess_test

import (
	"testing"

	"github.com/art32/art32/internal/guess"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"tenant_id": true, "tenantId": true, "TenantID": true, "ORG_ID": true, "organisation_id": true, "mandant_id": true, "MandantenNr": true,
		"id": false, "tenants_count": false, "customer": false, "product_id": false,
	} {
		if got := guess.Tenant(name); got != want {
			t.Errorf("Tenant(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"email": true, "contactEmail": true, "first_name": true, "firstName": true, "Geburtsdatum": true, "telefonnummer": true, "straße": true,
		"iban": true, "last_login_ip_address": true, "display_name": true, "e_mail": true,
		"file_name": false, "name_id": false, "title": false, "status": false, "female_ratio": false, "telemetry": false, "mailbox_size": false,
	} {
		if got := len(guess.Personal("t", []guess.Column{{Name: name, Kind: guess.Text}})) > 0; got != want {
			t.Errorf("Personal(%q) = %v", name, got)
		}
	}
	for _, test := range []struct {
		table string
		want  int
	}{{"users", 1}, {"app_users", 1}, {"kunden", 1}, {"products", 0}} {
		if got := guess.Personal(test.table, []guess.Column{{Name: "name", Kind: guess.Text}}); len(got) != test.want {
			t.Errorf("name of %s: %v", test.table, got)
		}
	}
	if got := guess.Personal("users", []guess.Column{{Name: "email", Kind: guess.Other}, {Name: "birthday", Kind: guess.Date}, {Name: "created_at", Kind: guess.Date}}); len(got) != 1 {
		t.Errorf("types: %v", got)
	}
}
