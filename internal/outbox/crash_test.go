package outbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/migrate/migratetest"
	"github.com/art32/art32/internal/outbox"
)

// The steps at which TestKilledWorker kills.
const (
	beforeDeliver = "before deliver" // claimed, nothing sent
	afterDeliver  = "after deliver"  // sent, not marked
	afterMark     = "after mark"     // marked, the next message claimed
)

func impatient(w outbox.Worker) outbox.Worker {
	w.Parallel, w.Poll = 1, 10*time.Millisecond
	w.TTL, w.Timeout, w.Retries = 600*time.Millisecond, 300*time.Millisecond, []time.Duration{10 * time.Millisecond, 10 * time.Millisecond}
	return w
}

// receive appends the id to the file of the receiver.
func receive(name string, m outbox.Message) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, m.ID); err != nil {
		return err
	}
	return f.Close()
}

// TestKilledWorkerChild is the process that is killed: at its step it says so
// and stays there.
func TestKilledWorkerChild(t *testing.T) {
	db, d, args, ok := migratetest.InChild(t)
	if !ok {
		return
	}
	step, name, calls := args[0], args[1], 0
	w := impatient(outbox.Worker{DB: db, Dialect: d})
	err := w.Run(t.Context(), func(_ context.Context, m outbox.Message) error {
		if calls++; step == beforeDeliver || calls == 2 {
			fmt.Println("here")
			select {}
		}
		if err := receive(name, m); err != nil {
			return err
		}
		if step == afterDeliver {
			fmt.Println("here")
			select {}
		}
		return nil
	})
	t.Fatal(err)
}

func TestKilledWorker(t *testing.T) {
	t.Parallel()
	tests := []struct {
		step          string
		first, second int // times that each message arrives
		attempts      [2]int
	}{
		{beforeDeliver, 1, 1, [2]int{2, 1}},
		{afterDeliver, 2, 1, [2]int{2, 1}},
		{afterMark, 1, 1, [2]int{1, 2}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.step, " ", "_"), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, db migratetest.Database) {
				name := t.TempDir() + "/received"
				ids := []uuid.UUID{enqueue(t, db, "a", 1)[0], enqueue(t, db, "a", 1)[0]} // due in this order
				kill(t, db, tt.step, name)
				drain(t, impatient(worker(t, db)), func(_ context.Context, m outbox.Message) error { return receive(name, m) })
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range []int{tt.first, tt.second} {
					if n := strings.Count(string(text), ids[i].String()); n != want {
						t.Errorf("message %d arrived %d times, want %d", i+1, n, want)
					}
					wantStored(t, db, ids[i], row{Attempts: tt.attempts[i], Delivered: true})
				}
			})
		})
	}
}

// kill starts a worker and kills it once it has come to its step.
func kill(t *testing.T, db migratetest.Database, step, name string) {
	t.Helper()
	cmd := db.Child(t, "TestKilledWorkerChild", db.Library, step, name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "here\n" {
		t.Errorf("child says %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestDeadlyMessage kills a worker at each attempt: the message ends as dead
// and others arrive.
func TestDeadlyMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		name := t.TempDir() + "/received"
		deadly := enqueue(t, db, "deadly", 1)[0]
		for range 3 {
			kill(t, db, beforeDeliver, name)
		}
		other := enqueue(t, db, "a", 1)
		var got receiver
		drain(t, impatient(worker(t, db)), got.deliver)
		got.want(t, other, 1)
		wantStored(t, db, deadly, row{Attempts: 3, Code: "interrupted", Dead: true})
	})
}
