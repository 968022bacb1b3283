package decision_test

import (
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/record"
)

func TestMetadataOfAuthenticatorsCountsAtOnceAndIsNamedByRecords(t *testing.T) {
	t.Parallel()
	const model = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	b, signed := openBus(t), metadatatest.New(t, metadata.Name, noon)
	keeper := metadata.NewKeeper(metadata.Deps{
		JS: b.JS, Trust: metadata.Trust{Roots: []*x509.Certificate{signed.Root.Certificate}}, Grace: metadata.DefaultGrace,
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	svc := newService(t, serviceOptions{now: noon, js: b.JS, metadata: keeper})
	stop := run(t, svc)
	q := factstest.BusyUser(noon)
	finish := service.FinishQuestion{Question: q.Question, Passkey: q.Account.Credentials[0], UV: true, Login: &service.FinishedLogin{
		Route: event.Local, Counter: service.CounterNone,
	}}
	finish.Passkey.AAGUID = model
	revisions := map[string]bool{}
	for number, said := range []struct {
		reports []any
		want    string
	}{{nil, "ok"}, {[]any{"REVOKED"}, "revoked"}} {
		blob := signed.Blob(t, number+1, noon.Add(30*24*time.Hour), metadatatest.Model(model, nil, said.reports...))
		if err := keeper.Offer(t.Context(), blob, metadata.Origin{}); err != nil {
			t.Fatal(err)
		}
		v, err := svc.Finish(t.Context(), finish)
		if err != nil {
			t.Fatal(err)
		}
		barred := v.Risk.Action == service.RiskDeny
		if barred != (said.want == "revoked") {
			t.Errorf("%s is judged %+v", said.want, v.Risk)
		}
		revisions[keeper.Now().Revision] = true
	}
	stop()
	stream, err := b.JS.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	for sequence, want := range []string{"ok", "revoked"} {
		message, err := stream.GetMsg(t.Context(), uint64(sequence+1))
		if err != nil {
			t.Fatal(err)
		}
		var kept record.Record
		if err := json.Unmarshal(message.Data, &kept); err != nil {
			t.Fatal(err)
		}
		if !revisions[kept.Files["mds_source"]] || kept.Facts.Used == nil || string(kept.Facts.Used.Status) != want {
			t.Errorf("recorded %s of %v", message.Data, revisions)
		}
		delete(revisions, kept.Files["mds_source"])
		if standing := kept.Question.Standing(&finish.Passkey); string(standing.Status) != want {
			t.Errorf("%s is kept as %+v", want, standing)
		}
	}
}
