package incidenttest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/incidenttest"
)

func ExampleNotifier() {
	ctx := context.Background()
	var n incidenttest.Notifier
	x := incident.Notice{
		ID: uuid.New(), Subject: "notice", Text: "text", JSON: []byte("{}"),
		To: incident.Contact{Name: "Data protection", Mail: "dpo@controller.example"},
	}
	n.Fail(errors.New("mail server down"))
	fmt.Println(n.Notify(ctx, x))
	n.Fail(nil)
	fmt.Println(n.Notify(ctx, x), len(n.Notices()))
	// Output:
	// mail server down
	// <nil> 1
}
