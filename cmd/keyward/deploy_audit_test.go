package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
)

// reports are the security events that each service, and the job that provisions, may write.
func reports() map[string][]audit.Event {
	bundle := &audit.Policy{Revision: "1", Content: "1"}
	return map[string][]audit.Event{
		"provision": {{Type: audit.ProjectCreated, Project: "pro-1"}},
		settings.Gateway: {
			{Type: audit.LimitHit}, {Type: audit.LimitHit, Project: "pro-1"},
			{Type: audit.OperatorCreated, Operator: &audit.OperatorAccount{ID: "opr-1"}},
			{Type: audit.OperatorRevoked, Operator: &audit.OperatorAccount{ID: "opr-1"}},
			{Type: audit.OperatorSignedIn, Operator: &audit.OperatorAccount{ID: "opr-1"}},
			{Type: audit.OperatorPasskeyAdded, Operator: &audit.OperatorAccount{ID: "opr-1"}, Credential: "cre-1"},
			{Type: audit.OperatorPasskeyRemoved, Operator: &audit.OperatorAccount{ID: "opr-1"}, Credential: "cre-1"},
			{Type: audit.OperatorPasskeyCopied, Operator: &audit.OperatorAccount{ID: "opr-1"}, Credential: "cre-1"},
		},
		settings.Ceremony: {
			{Type: audit.ProjectUpdated, Project: "pro-1", Changed: []string{"name"}}, {Type: audit.CodesGuessed, Project: "pro-1"},
			{Type: audit.SigningKeyRotated, Project: "pro-1", SigningKey: "pki-1"}, {Type: audit.StartedUnencrypted},
			{Type: audit.SigningKeyCreated, Project: "pro-1", SigningKey: "pki-1"},
			{Type: audit.KeyCreated, Project: "pro-1", Key: &audit.Key{ID: "a"}},
			{Type: audit.KeyRevoked, Project: "pro-1", Key: &audit.Key{ID: "a"}},
			{Type: audit.OperatorActed, Project: "pro-1", User: "usr-1", Act: "barred"},
		},
		settings.Decision: {
			{Type: audit.PolicyReplaced, Policy: bundle}, {Type: audit.PolicyRefused, Policy: bundle, Reason: "it is wrong"},
			{Type: audit.PolicyPushed, Release: &audit.Release{Number: 1, Policy: *bundle}, Reason: "it was asked for"},
			{Type: audit.PolicyChanged, Release: &audit.Release{Number: 1, Policy: *bundle}, Change: 1},
			{Type: audit.PolicyTried, Release: &audit.Release{Number: 1, Policy: *bundle}, Change: 2, Step: "canary-ended"},
			{Type: audit.ListChanged, List: &audit.List{Name: "bad", Kind: "asn", Entries: 1}, Added: []string{"64500"}},
			{Type: audit.SwitchTurned, Switch: &audit.Switch{Name: "stop", On: true}},
		},
		settings.Events: {
			{Type: audit.WebhookCreated, Project: "pro-1", Webhook: "whe-1"},
			{Type: audit.WebhookUpdated, Project: "pro-1", Webhook: "whe-1", Changed: []string{"url"}},
			{Type: audit.WebhookDeleted, Project: "pro-1", Webhook: "whe-1"}, {Type: audit.StartedUnencrypted},
			{Type: audit.WebhookEnded, Project: "pro-1", Webhook: "whe-1"},
			{Type: audit.OperatorActed, Project: "pro-1", Webhook: "whe-1", Act: "dead-letters-replayed"},
		},
	}
}

// The gateway reads them, for operators.
func TestEachServiceWritesItsOwnSecurityEventsForgesNoOthersAndTheGatewayAloneReadsAny(t *testing.T) {
	d := startDeployed(t)
	for name, own := range reports() {
		conn, refused := d.connect(t, name)
		js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		recorder := audit.NewRecorder(js, audit.Actor{Kind: audit.Service, Name: name}, time.Now)
		if err := recorder.Record(t.Context(), own...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := audits()
		if name == "provision" { // the one that changes streams
			all = slices.DeleteFunc(all, func(a attack) bool { return a.subject == "$JS.API.STREAM.UPDATE."+bus.AuditStream })
		}
		if name == settings.Gateway {
			all = slices.DeleteFunc(all, func(a attack) bool { return slices.Contains(reads(), a.what) })
		}
		for _, kind := range audit.Types() {
			for _, about := range []string{"pro-1", "_"} {
				if may := mayTell(own, kind, about); !may {
					all = append(all, attack{"a forged event", bus.AuditPrefix + "." + about + "." + string(kind), "{}"})
				}
			}
		}
		for _, a := range all {
			if err := conn.PublishRequest(a.subject, conn.NewInbox(), []byte(a.payload)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := conn.SubscribeSync(bus.AuditPrefix + ".>"); err != nil {
			t.Fatal(err)
		}
		if err := conn.FlushTimeout(time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, a := range append(all, attack{"what it hears", bus.AuditPrefix + ".>", ""}) {
			if !refused.tells(a.subject) {
				t.Errorf("%s is not refused %s: %s", name, a.what, a.subject)
			}
		}
	}
}

// mayTell reports whether a service that tells these events may tell of a type, of a project or of the installation: projects have any ID.
func mayTell(own []audit.Event, kind audit.Type, about string) bool {
	for _, e := range own {
		if e.Type == kind && (e.Project != "" || about == "_") {
			return true
		}
	}
	return false
}

// reads are those of audits that read without a consumer.
func reads() []string {
	return []string{"a direct read", "a direct read of a subject", "a read from the leader"}
}

// audits would read the stream, or take something out of it.
func audits() []attack {
	const s = bus.AuditStream
	consumer := fmt.Sprintf(`{"stream_name":%q,"config":{"name":"spy","ack_policy":"none","deliver_policy":"all"}}`, s)
	return append([]attack{
		{"a direct read", "$JS.API.DIRECT.GET." + s, `{"seq":1}`},
		{"a direct read of a subject", "$JS.API.DIRECT.GET." + s + ".passkey.audit.pro-1.project-created", ""},
		{"a read from the leader", "$JS.API.STREAM.MSG.GET." + s, `{"seq":1}`},
		{"a consumer", "$JS.API.CONSUMER.CREATE." + s + ".spy", consumer},
		{"a consumer without a name", "$JS.API.CONSUMER.CREATE." + s, consumer},
		{"another's next message", "$JS.API.CONSUMER.MSG.NEXT." + s + ".siem", ""},
		{"the end of a consumer", "$JS.API.CONSUMER.DELETE." + s + ".siem", ""},
		{"a purge", "$JS.API.STREAM.PURGE." + s, ""},
	}, erasures(s)...)
}

// Whoever has all permissions reads the stream and cannot take a message out of it.
func TestAnOperatorReadsSecurityEventsAndCannotTakeOneOut(t *testing.T) {
	d := startDeployed(t)
	operator, _ := d.connect(t, "operator")
	js, err := jetstream.New(operator, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	recorder := audit.NewRecorder(js, audit.Actor{Kind: audit.Command, Name: "keyward project rotate-secret"}, time.Now)
	if err := recorder.Record(t.Context(), audit.Event{Type: audit.SecretRotated, Project: "pro-1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), bus.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.GetMsg(t.Context(), 1); err != nil {
		t.Errorf("an operator cannot read: %v", err)
	}
	if stream.Purge(t.Context()) == nil || stream.DeleteMsg(t.Context(), 1) == nil {
		t.Error("an operator can take a message out")
	}
}

// What a SIEM has is what it needs to read security events, and no answer to it leaves its account.
func TestAnAuditorReadsSecurityEventsByItsConsumerAndDoesNothingElse(t *testing.T) {
	d := startDeployed(t)
	operator, _ := d.connect(t, "operator")
	js, err := jetstream.New(operator, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	recorder := audit.NewRecorder(js, audit.Actor{Kind: audit.Command, Name: "keyward project create"}, time.Now)
	for _, project := range []ident.ProjectID{"pro-1", "pro-2"} {
		if err := recorder.Record(t.Context(), audit.Event{Type: audit.ProjectCreated, Project: project}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := js.CreateConsumer(t.Context(), bus.AuditStream, jetstream.ConsumerConfig{
		Durable: "auditor", AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, refused := d.connect(t, "auditor")
	own, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := own.Consumer(t.Context(), bus.AuditStream, "auditor")
	if err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"pro-1", "pro-2"} {
		msg, err := consumer.Next(jetstream.FetchMaxWait(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if want := bus.AuditPrefix + "." + project + ".project-created"; msg.Subject() != want {
			t.Errorf("got %s, want %s", msg.Subject(), want)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := made.Info(t.Context()); err != nil || info.AckFloor.Stream != 2 {
		t.Errorf("what it has said that it has: %+v, %v", info, err)
	}

	heard := arrivals(t, d, nowhere())
	for reply := range nowhere() {
		err := conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+bus.AuditStream+".auditor", reply, []byte(`{"batch":1,"no_wait":true}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := recorder.Record(t.Context(), audit.Event{Type: audit.ProjectCreated, Project: "pro-3"}); err != nil {
			t.Fatal(err)
		}
	}
	all := audits()
	for stream := range js.ListStreams(t.Context()).Info() {
		all = append(all, reaches(stream, "auditor")...)
	}
	for _, a := range all {
		if err := conn.PublishRequest(a.subject, conn.NewInbox(), []byte(a.payload)); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{bus.AuditPrefix + ".>", ">", "_INBOX.>"} {
		if _, err := conn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		all = append(all, attack{"what it hears", subject, ""})
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if !refused.tells(a.subject) {
			t.Errorf("it is not refused %s: %s", a.what, a.subject)
		}
	}
	for _, arrived := range heard() {
		t.Errorf("an answer to it has gone to %s", arrived)
	}
}
