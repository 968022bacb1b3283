package risk_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
)

type deciding func(context.Context) (service.Verdict, error)

func (d deciding) Finish(ctx context.Context, _ service.FinishQuestion) (service.Verdict, error) {
	return d(ctx)
}

func (d deciding) CheckContext(ctx context.Context, _ service.ForProject[json.RawMessage]) (service.Empty, error) {
	_, err := d(ctx)
	return service.Empty{}, err
}

func TestWhatACallerAddsIsRefusedByThePolicyAlone(t *testing.T) {
	t.Parallel()
	misfit := fault.Field("context.aal", "must be a whole number from 1 to 3")
	for name, c := range map[string]struct {
		added json.RawMessage
		page  bool
		said  error
		want  error
	}{
		"nothing was added":                 {nil, false, misfit, nil},
		"it fits":                           {json.RawMessage(`{"aal":1}`), false, nil, nil},
		"it does not fit":                   {json.RawMessage(`{"aal":4}`), false, misfit, misfit},
		"it does not fit any more":          {json.RawMessage(`{"aal":4}`), true, misfit, nil},
		"nobody can tell whether it fits":   {json.RawMessage(`{"aal":1}`), false, fault.Unavailable(time.Second, "no"), nil},
		"the decision service has a defect": {json.RawMessage(`{"aal":1}`), false, errors.New("no"), nil},
	} {
		judge := risk.Judge{
			Decision: deciding(func(context.Context) (service.Verdict, error) { return service.Verdict{}, c.said }),
			Patience: patience.New(time.Minute), Log: slog.New(slog.DiscardHandler),
		}
		ctx := t.Context()
		if c.page {
			ctx = reqctx.WithFrontend(ctx)
		}
		if err := judge.CheckContext(ctx, "pro-1", c.added); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACeremonyGoesItsWayWhateverTheDecisionServiceDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		decision deciding
		judged   bool
	}{
		"it judges": {func(context.Context) (service.Verdict, error) {
			return service.Verdict{Decided: service.Decided{Decision: "dec-1"}}, nil
		}, true},
		"it fails": {func(context.Context) (service.Verdict, error) { return service.Verdict{}, errors.New("no") }, false},
		"it hangs": {func(ctx context.Context) (service.Verdict, error) {
			<-ctx.Done()
			return service.Verdict{}, ctx.Err()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unjudged := prometheus.NewCounter(prometheus.CounterOpts{Name: "unjudged"})
			judge := risk.Judge{
				Decision: c.decision, Patience: patience.New(10 * time.Millisecond), Unjudged: unjudged, Log: slog.New(slog.DiscardHandler),
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			said := judge.Finish(ctx, service.FinishQuestion{Question: service.Question{Account: &account.Account{}}})
			if judged := said.Decision != ""; judged != c.judged {
				t.Errorf("judged: %t", judged)
			}
			if counted := testutil.ToFloat64(unjudged) == 0; counted != c.judged {
				t.Errorf("%v were counted", testutil.ToFloat64(unjudged))
			}
			if ctx.Err() != nil {
				t.Error("the caller's time is gone")
			}
		})
	}
}
