package exchange

import (
	"errors"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter counts what operators watch. Labels hold route patterns, never paths or IDs.
type meter struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	shed     prometheus.Counter
	refused  prometheus.Counter     // connections
	calls    *prometheus.CounterVec // of the user service

	// found are the series that have been asked for, so that a request need not put its labels together. There are as many as routes,
	// methods and classes of status.
	found atomic.Pointer[map[labels]series]
}

type labels struct {
	route, method string
	class         int // of the status
}

type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func newMeter(registerer prometheus.Registerer, inFlight func() float64) (*meter, error) {
	m := &meter{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_http_requests_total", Help: "Requests answered, by route pattern, method and class of status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyward_http_request_duration_seconds", Help: "Time from the last byte of a request to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_rpc_requests_total",
			Help: "Calls of the user service answered, by procedure and code, whatever the protocol and the port.",
		}, []string{"procedure", "code"}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_http_requests_shed_total", Help: "Requests refused because too many were in flight; healthy is 0.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_http_connections_refused_total", Help: "Connections closed at once because too many were open; healthy is 0.",
		}),
	}
	m.found.Store(&map[labels]series{})
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_http_requests_in_flight", Help: "Requests being handled.",
	}, inFlight)
	if registerer == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.shed, m.refused, m.calls, running} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *meter) observe(route, method string, status int, took time.Duration) {
	s := m.series(labels{route, method, status / 100})
	s.requests.Inc()
	s.duration.Observe(took.Seconds())
}

func (m *meter) series(l labels) series {
	for {
		found := m.found.Load()
		if s, ok := (*found)[l]; ok {
			return s
		}
		more := maps.Clone(*found)
		more[l] = series{
			m.requests.WithLabelValues(l.route, l.method, strconv.Itoa(l.class)+"xx"), m.duration.WithLabelValues(l.route, l.method),
		}
		m.found.CompareAndSwap(found, &more)
	}
}
