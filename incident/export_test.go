package incident

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// OnStep has fn called between the steps of Notify and of a delivery.
func (d *Desk) OnStep(fn func(name string)) { d.step = fn }

// Impatient shortens the times of the worker.
func (d *Desk) Impatient() {
	d.worker.Parallel, d.worker.Poll = 1, 10*time.Millisecond
	d.worker.TTL, d.worker.Timeout = 600*time.Millisecond, 300*time.Millisecond
	d.worker.Retries = []time.Duration{10 * time.Millisecond, 10 * time.Millisecond}
}

// Patient lets hours pass in few steps.
func (d *Desk) Patient() { d.worker.Poll, d.worker.TTL = 30*time.Minute, 6*time.Hour }

// Token is what the link of a notice holds.
func (d *Desk) Token(ctx context.Context, notice uuid.UUID) string {
	t, err := d.ackToken(ctx, notice)
	if err != nil {
		return err.Error()
	}
	return t
}

// Render writes a notice without storing it.
func (d *Desk) Render(c Case, a Affected, made time.Time, ack string) (text string, machine []byte, err error) {
	doc := d.compose(&c, &a, firstNotice, made.In(d.opts.Location), ack)
	if text, err = doc.text(); err == nil {
		machine, err = doc.json()
	}
	return text, machine, err
}
