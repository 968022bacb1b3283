package ceremony

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
)

// metrics counts what the service does. Names are part of its interface; no label holds an ID.
type metrics struct {
	calls           *prometheus.CounterVec
	handles         *prometheus.CounterVec
	clones          prometheus.Counter
	backupChanges   prometheus.Counter
	leftIncomplete  prometheus.Counter
	eventsRepeated  prometheus.Counter
	lookupsReplaced prometheus.Counter
	signedData      *prometheus.CounterVec
	unsettled       prometheus.Counter
	repaired        *prometheus.CounterVec
	codes           *prometheus.CounterVec
	appends         *prometheus.CounterVec
	clientEvents    *prometheus.CounterVec
	clientDurations *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (metrics, error) {
	m := metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_ceremony_calls_total",
			Help: "Ceremony calls by step and outcome: allowed or denied (starts), completed (finishes), refused (the caller's fault), failed (ours).",
		}, []string{"call", "outcome"}),
		handles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_ceremony_environment_handles_total",
			Help: "Client environment handles by what became of them: known, issued, rejected.",
		}, []string{"outcome"}),
		clones: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_clone_warnings_total",
			Help: "Assertions refused because the signature counter did not go up. Healthy: 0.",
		}),
		backupChanges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_backup_eligibility_changes_total",
			Help: "Assertions refused because the flag BE was not what it was at creation. Healthy: 0.",
		}),
		leftIncomplete: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_unmarked_challenges_total",
			Help: "Finished ceremonies whose challenge could not be marked as completed; it stays consumed. Healthy: 0.",
		}),
		eventsRepeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_event_retries_total",
			Help: "Appends of a ceremony's event that were tried again. Healthy: 0.",
		}),
		lookupsReplaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_account_lookups_failed_total",
			Help: "Starts that were judged without the account because it could not be read. Healthy: 0.",
		}),
		signedData: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_ceremony_signed_data_verifications_total",
			Help: "Verifications of signed passkey data by result. Healthy: none but success.",
		}, []string{"result"}),
		unsettled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_ceremony_unsettled_events_total",
			Help: "Times that events of an account were put into the log and could not be removed from the account, so that they are appended once more. Healthy: 0.",
		}),
		repaired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_ceremony_repairs_total",
			Help: "Changes that a call left unfinished and the background work took up: announcement or deletion. Healthy: 0.",
		}, []string{"kind"}),
	}
	m.codes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_ceremony_code_calls_total",
		Help: "Calls about one-time codes and links by call, create or check, and outcome: done, refused (the caller's fault, such as a wrong value), limited (too many to one identifier), failed (ours).",
	}, []string{"call", "outcome"})
	m.appends = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_ceremony_connect_appends_total",
		Help: "Passkeys created over Connect by how the client says that it came to it: auto, conditional, manual, manual-retry; untold if it does not say.",
	}, []string{"completion"})
	m.clientEvents = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_ceremony_connect_events_total",
		Help: "Events that Connect clients sent by type and what became of them: recorded, or unnamed, which are not recorded because the client has not been told of a user.",
	}, []string{"type", "outcome"})
	m.clientDurations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "keyward_ceremony_connect_client_duration_seconds",
		Help:    "How long things took on Connect clients, as they say, by event type; other = a type that is not known here.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"type"})
	for _, c := range []prometheus.Collector{m.appends, m.clientEvents, m.clientDurations, m.codes, m.calls, m.handles, m.clones, m.backupChanges, m.leftIncomplete, m.eventsRepeated, m.lookupsReplaced, m.signedData, m.unsettled, m.repaired} {
		if err := registry.Register(c); err != nil {
			return metrics{}, fmt.Errorf("register ceremony metrics: %w", err)
		}
	}
	return m, nil
}

// started counts a start call.
func (m metrics) started(call string, allowed bool, err error) {
	switch {
	case err != nil:
		m.failed(call, err)
	case allowed:
		m.calls.WithLabelValues(call, "allowed").Inc()
	default:
		m.calls.WithLabelValues(call, "denied").Inc()
	}
}

// verified counts a verification of signed passkey data.
func (m metrics) verified(result rest.VerifySignedDataRspVerificationResult) {
	m.signedData.WithLabelValues(string(result)).Inc()
}

// finished counts a finish call.
func (m metrics) finished(call string, err error) {
	if err != nil {
		m.failed(call, err)
		return
	}
	m.calls.WithLabelValues(call, "completed").Inc()
}

func (m metrics) failed(call string, err error) {
	outcome := "refused"
	if fault.OfServer(err) {
		outcome = "failed"
	}
	m.calls.WithLabelValues(call, outcome).Inc()
}

// codeCalled counts a call about one-time codes.
func (m metrics) codeCalled(call string, err error) {
	outcome := "done"
	switch {
	case errors.Is(err, fault.TypeRateLimited):
		outcome = "limited"
	case fault.OfServer(err):
		outcome = "failed"
	case err != nil:
		outcome = "refused"
	}
	m.codes.WithLabelValues(call, outcome).Inc()
}
