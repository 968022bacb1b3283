// Package metrics counts what the ceremony service does: one type for each room that counts, made together and registered once. Names are
// part of the service's interface; no label holds an ID. It does no I/O.
package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/fault"
)

// Metrics is what the rooms count.
type Metrics struct {
	Calls    Calls
	Codes    Codes
	Passkeys Passkeys
	Outbox   Outbox
	Connect  Connect
	StepUps  StepUps
	Handles  *prometheus.CounterVec // by outcome: known, issued, rejected
	Verified *prometheus.CounterVec // signed passkey data, by result
	Repaired *prometheus.CounterVec // by kind
}

// Passkeys is what can go wrong in a ceremony.
type Passkeys struct {
	Clones          prometheus.Counter
	BackupChanges   prometheus.Counter
	LeftIncomplete  prometheus.Counter
	LookupsReplaced prometheus.Counter
	StartsUnstored  prometheus.Counter
	Unjudged        prometheus.Counter
}

// StepUps is what becomes of answers that wait for a further proof.
type StepUps struct{ Started, Passed, Failed, Redeemed prometheus.Counter }

// Outbox is what can go wrong when an account's changes are told.
type Outbox struct {
	Repeated  prometheus.Counter
	Unsettled prometheus.Counter
	Lost      prometheus.Counter
	Withheld  prometheus.Counter
}

// Connect is what Connect clients say of themselves.
type Connect struct {
	Appends   *prometheus.CounterVec   // by completion
	Events    *prometheus.CounterVec   // by type and outcome
	Durations *prometheus.HistogramVec // by type
}

// New returns metrics that are registered with a registry.
func New(registry prometheus.Registerer) (Metrics, error) {
	f := factory{registry: registry}
	m := Metrics{
		Calls: Calls{calls: f.counters("keyward_ceremony_calls_total",
			"Ceremony calls by step and outcome: allowed or denied (starts), completed (finishes), refused (the caller's "+
				"fault), failed (ours).", "call", "outcome")},
		Codes: Codes{calls: f.counters("keyward_ceremony_code_calls_total",
			"Calls about one-time codes and links by call, create or check, and outcome: done, refused (the caller's "+
				"fault, such as a wrong value), limited (too many to one identifier), failed (ours).", "call", "outcome")},
		Passkeys: Passkeys{
			Clones: f.counter("keyward_ceremony_clone_warnings_total",
				"Assertions refused because the signature counter did not go up. Healthy: 0."),
			BackupChanges: f.counter("keyward_ceremony_backup_eligibility_changes_total",
				"Assertions refused because the flag BE was not what it was at creation. Healthy: 0."),
			LookupsReplaced: f.counter("keyward_ceremony_account_lookups_failed_total",
				"Starts that were judged without the account because it could not be read. Healthy: 0."),
			StartsUnstored: f.counter("keyward_ceremony_starts_unstored_total",
				"Login starts that the log did not take in time; they were answered with the safe default. Healthy: 0."),
			Unjudged: f.counter("keyward_ceremony_finishes_unjudged_total",
				"Finishes that were not judged for risk because the decision service could not be asked. Healthy: 0."),
		},
		Outbox: Outbox{
			Repeated: f.counter("keyward_ceremony_event_retries_total",
				"Appends of a ceremony's event that were tried again. Healthy: 0."),
			Unsettled: f.counter("keyward_ceremony_unsettled_events_total",
				"Times that events of an account were put into the log and could not be removed from the account, so that they "+
					"are appended once more. Healthy: 0."),
			Lost: f.counter("keyward_ceremony_risks_untold_total",
				"Events of how starts were judged for risk that the log did not get: too many at once, or it could not be reached. Healthy: 0."),
			Withheld: f.counter("keyward_ceremony_risks_withheld_total",
				"Events of how starts were judged for risk that were not told, since as many of the user were in the same hour."),
		},
		Connect: f.connect(),
		StepUps: f.stepUps(),
		Handles: f.counters("keyward_ceremony_environment_handles_total",
			"Client environment handles by what became of them: known, issued, rejected.", "outcome"),
		Verified: f.counters("keyward_ceremony_signed_data_verifications_total",
			"Verifications of signed passkey data by result. Healthy: none but success.", "result"),
		Repaired: f.counters("keyward_ceremony_repairs_total",
			"Changes that a call left unfinished and the background work took up: announcement or deletion. Healthy: 0.", "kind"),
	}
	return m, f.err
}

func (f *factory) stepUps() StepUps {
	all := f.counters("keyward_ceremony_step_ups_total",
		"Step-ups by what became of them: started (an answer waits for a further proof), passed, failed (as often as one may), redeemed.",
		"outcome")
	return StepUps{
		Started: all.WithLabelValues("started"), Passed: all.WithLabelValues("passed"),
		Failed: all.WithLabelValues("failed"), Redeemed: all.WithLabelValues("redeemed"),
	}
}

func (f *factory) connect() Connect {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "keyward_ceremony_connect_client_duration_seconds",
		Help:    "How long things took on Connect clients, as they say, by event type; other = a type that is not known here.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"type"})
	f.register(durations)
	return Connect{
		Appends: f.counters("keyward_ceremony_connect_appends_total",
			"Passkeys created over Connect by how the client says that it came to it: auto, conditional, manual, "+
				"manual-retry; untold if it does not say.", "completion"),
		Events: f.counters("keyward_ceremony_connect_events_total",
			"Events that Connect clients sent by type and what became of them: recorded, or not, since the client "+
				"has not been told of a user (unnamed), or has no proof of being the user's and may not tell this without one (unproven), or as "+
				"much without a proof is in the user's history as is recorded (withheld).",
			"type", "outcome"),
		Durations: durations,
	}
}

// factory makes what is registered, and keeps what went wrong with that.
type factory struct {
	registry prometheus.Registerer
	err      error
}

func (f *factory) register(c prometheus.Collector) {
	if err := f.registry.Register(c); err != nil {
		f.err = errors.Join(f.err, fmt.Errorf("register ceremony metrics: %w", err))
	}
}

func (f *factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	f.register(c)
	return c
}

func (f *factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.register(c)
	return c
}

// Calls counts the calls of ceremonies by step and outcome.
type Calls struct{ calls *prometheus.CounterVec }

// Started counts a start call.
func (c Calls) Started(call string, allowed bool, err error) {
	switch {
	case err != nil:
		c.failed(call, err)
	case allowed:
		c.calls.WithLabelValues(call, "allowed").Inc()
	default:
		c.calls.WithLabelValues(call, "denied").Inc()
	}
}

// Finished counts a finish call.
func (c Calls) Finished(call string, err error) {
	if err != nil {
		c.failed(call, err)
		return
	}
	c.calls.WithLabelValues(call, "completed").Inc()
}

func (c Calls) failed(call string, err error) {
	outcome := "refused"
	if fault.OfServer(err) {
		outcome = "failed"
	}
	c.calls.WithLabelValues(call, outcome).Inc()
}

// Codes counts the calls about one-time codes and links.
type Codes struct{ calls *prometheus.CounterVec }

// Called counts a call about one-time codes.
func (c Codes) Called(call string, err error) {
	outcome := "done"
	switch {
	case errors.Is(err, fault.TypeRateLimited):
		outcome = "limited"
	case fault.OfServer(err):
		outcome = "failed"
	case err != nil:
		outcome = "refused"
	}
	c.calls.WithLabelValues(call, outcome).Inc()
}
