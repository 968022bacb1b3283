package main_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
)

// isolated are the services, all in accounts of their own, each with what it may write to: a subject, and the stream that keeps it.
func isolated() map[string]struct{ subject, stream string } {
	return map[string]struct{ subject, stream string }{
		settings.Ceremony: {"$KV." + bus.NobodiesBucket + ".pro-1.trick", "KV_" + bus.NobodiesBucket},
		settings.Gateway:  {"$KV." + bus.IdempotencyBucket + ".pro-1.trick", "KV_" + bus.IdempotencyBucket},
		settings.Decision: {bus.DecisionsPrefix + ".pro-1.usr-1.trick", bus.DecisionsStream},
		settings.Events:   {bus.EventsPrefix + ".pro-1.usr-1.trick", bus.EventsStream},
	}
}

// nowhere is where no answer to a service may go, with what it could have asked there.
func nowhere() map[string]string {
	return map[string]string{
		"$JS.API.STREAM.CREATE.COPY":             `{"name":"COPY","storage":"file","sources":[{"name":"KV_project-keys"}]}`,
		"$JS.API.STREAM.PURGE.KV_accounts":       `{}`,
		"$JS.API.STREAM.SNAPSHOT.KV_codes":       `{"deliver_subject":"_INBOX.gateway.snapshot"}`,
		"$JS.API.CONSUMER.CREATE.KV_sessions.me": `{"stream_name":"KV_sessions","config":{"name":"me","deliver_subject":"_INBOX.gateway.x"}}`,
		"$KV.accounts.pro-1.usr-1":               `{}`,
		"$KV.project-keys.pro-1":                 `[]`,
		"passkey.events.pro-1.usr-1.login-error": `{}`,
		"keyward.events.append":                  `{}`,
		"_INBOX.ceremony.somebody":               `{}`,
	}
}

// tricks are requests that somebody may make who keeps a message of its own in a stream. The last one is answered with that message.
func tricks(subject, stream string) map[string]string {
	return map[string]string{
		subject:                                        "anything",
		"$JS.API.STREAM.INFO." + stream:                "",
		"$JS.API.STREAM.MSG.GET." + stream:             fmt.Sprintf(`{"last_by_subj":%q}`, subject),
		"$JS.API.DIRECT.GET." + stream:                 fmt.Sprintf(`{"seq":1,"next_by_subj":%q,"batch":1}`, subject),
		"$JS.API.DIRECT.GET." + stream + "." + subject: "",
	}
}

// arrivals counts what is published where it is listened, as somebody who may listen to everything hears it.
func arrivals(t *testing.T, d deployed, where map[string]string) func() []string {
	t.Helper()
	operator, _ := d.connect(t, "operator")
	var subs []*nats.Subscription
	for subject := range where {
		sub, err := operator.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	if err := operator.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		if err := operator.FlushTimeout(time.Minute); err != nil {
			t.Fatal(err)
		}
		var heard []string
		for _, sub := range subs {
			for n, _, err := sub.Pending(); n > 0 && err == nil; n, _, err = sub.Pending() {
				if msg, err := sub.NextMsg(time.Minute); err == nil {
					// The message keeps the subject that it is stored at: where it came is what was listened to.
					heard = append(heard, fmt.Sprintf("%s: %s", sub.Subject, msg.Data))
				}
			}
		}
		return heard
	}
}

// trick has everything that somebody may ask for answered somewhere else. What is asked for with an inbox comes after it.
func trick(t *testing.T, conn *nats.Conn, subject, stream string) {
	t.Helper()
	for reply, payload := range nowhere() {
		if _, err := conn.Request(subject, []byte(payload), time.Minute); err != nil {
			t.Fatalf("write %s: %v", subject, err)
		}
		for ask, body := range tricks(subject, stream) {
			if ask == subject {
				body = payload
			}
			if err := conn.PublishRequest(ask, reply, []byte(body)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Request(ask, []byte(body), time.Minute); err != nil {
				t.Fatalf("ask for %s: %v", ask, err)
			}
		}
	}
}

// deliveries are requests for consumers that would deliver what somebody has stored as a request that he may not make.
func deliveries(own struct{ subject, stream string }) []attack {
	var all []attack
	for to := range nowhere() {
		config := func(more string) string {
			return fmt.Sprintf(`{"stream_name":%q,"config":{"deliver_policy":"all","deliver_subject":%q,"filter_subject":%q%s}}`,
				own.stream, to, own.subject, more)
		}
		all = append(all,
			attack{"a consumer", "$JS.API.CONSUMER.CREATE." + own.stream + ".detour." + own.subject, config(`,"name":"detour"`)},
			attack{"a consumer of a wide subject", "$JS.API.CONSUMER.CREATE." + own.stream + ".detour", config(`,"name":"detour"`)},
			attack{"a consumer without a name", "$JS.API.CONSUMER.CREATE." + own.stream, config("")},
			attack{"a durable consumer", "$JS.API.CONSUMER.DURABLE.CREATE." + own.stream + ".detour", config(`,"durable_name":"detour"`)},
			attack{"another end of a consumer that there is", "$JS.API.CONSUMER.CREATE." + own.stream + "." + bus.ErasureConsumer + "." +
				own.subject, config(fmt.Sprintf(`,"durable_name":%q`, bus.ErasureConsumer))},
			attack{"a consumer that begins anew", "$JS.API.CONSUMER.RESET." + own.stream + "." + bus.ErasureConsumer, ""},
			attack{"the end of a consumer", "$JS.API.CONSUMER.DELETE." + own.stream + "." + bus.ErasureConsumer, ""},
		)
	}
	return all
}

// NATS does not check where a consumer delivers either: who makes one has what is stored said to JetStream, or to a service.
func TestNoServiceHasAConsumerSayWhatItMayNotSay(t *testing.T) {
	d := startDeployed(t)
	heard := arrivals(t, d, nowhere())
	for name, own := range isolated() {
		conn, refused := d.connect(t, name)
		if _, err := conn.Request(own.subject, []byte(`{}`), time.Minute); err != nil {
			t.Fatalf("%s cannot write what is its own: %v", name, err)
		}
		all := deliveries(own)
		mustBeRefused(t, name, conn, refused, all)
		for _, arrived := range heard() {
			t.Errorf("a consumer of %s has said %s", name, arrived)
		}
	}
	// Whoever may make consumers can do that: nothing but the account prevents it.
	operator, _ := d.connect(t, "operator")
	expected := detours(t, operator, isolated()[settings.Events])
	if len(expected) == 0 {
		t.Fatal("JetStream makes a consumer that delivers anywhere for nobody")
	}
	for end := time.Now().Add(time.Minute); len(expected) > 0; {
		for _, arrived := range heard() {
			subject, _, _ := strings.Cut(arrived, ": ")
			delete(expected, subject)
		}
		if time.Now().After(end) {
			t.Fatalf("the detour works for nobody: nothing has come to %v", expected)
		}
	}
}

// detours makes a consumer for each place, and says which of them JetStream has made: into the stream itself it delivers for nobody.
func detours(t *testing.T, conn *nats.Conn, own struct{ subject, stream string }) map[string]bool {
	t.Helper()
	made := map[string]bool{}
	for to := range nowhere() {
		answer, err := conn.Request("$JS.API.CONSUMER.CREATE."+own.stream, fmt.Appendf(nil,
			`{"stream_name":%q,"config":{"deliver_policy":"all","deliver_subject":%q,"filter_subject":%q}}`,
			own.stream, to, own.subject), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Error *struct {
				Description string `json:"description"`
			} `json:"error"`
		}
		if err := json.Unmarshal(answer.Data, &said); err != nil {
			t.Fatal(err)
		}
		if said.Error != nil {
			t.Logf("no consumer delivers to %s: %s", to, said.Error.Description)
			continue
		}
		made[to] = true
	}
	return made
}

func TestNoAnswerToAServiceInAnAccountOfItsOwnGoesWhereItMayNotWrite(t *testing.T) {
	d := startDeployed(t)
	heard := arrivals(t, d, nowhere())
	for name, own := range isolated() {
		conn, _ := d.connect(t, name)
		trick(t, conn, own.subject, own.stream)
		for _, arrived := range heard() {
			t.Errorf("an answer to %s has gone to %s", name, arrived)
		}
	}
	// What is in the account with what is kept could do that: nothing but the account prevents it.
	operator, _ := d.connect(t, "operator")
	own := isolated()[settings.Gateway]
	trick(t, operator, own.subject, own.stream)
	if len(heard()) < len(nowhere()) {
		t.Error("the tricks do not work for anybody")
	}
}

// A service answers whoever asks it. Nobody else hears it, and it cannot speak unasked.
func TestAServiceAnswersOnlyWhoAsksIt(t *testing.T) {
	d := startDeployed(t)
	for _, c := range []struct {
		asker, answerer, subject string
		unasked                  []string
	}{
		{
			settings.Gateway, settings.Decision, "keyward.decision.explain-decision",
			[]string{"_INBOX.gateway.somebody", "_INBOX.ceremony.somebody", "keyward.ceremony.keys"},
		},
		{
			settings.Gateway, settings.Ceremony, "keyward.ceremony.keys",
			[]string{"_INBOX.gateway.somebody", "_INBOX.events.somebody", "passkey.events.pro-1.usr-1.login-completed"},
		},
		{
			settings.Ceremony, settings.Decision, "keyward.decision.login",
			[]string{"_INBOX.ceremony.somebody"},
		},
		{
			settings.Ceremony, settings.Events, "keyward.events.append",
			[]string{"_INBOX.ceremony.somebody", "keyward.ceremony.keys"},
		},
	} {
		t.Run(c.answerer+" for "+c.asker, func(t *testing.T) { answersOnlyWhoAsks(t, d, c.asker, c.answerer, c.subject, c.unasked) })
	}
}

func answersOnlyWhoAsks(t *testing.T, d deployed, by, who, subject string, unaskedAt []string) {
	t.Helper()
	asker, _ := d.connect(t, by)
	answerer, refused := d.connect(t, who)
	answering, err := answerer.Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond([]byte("because")) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answering.Unsubscribe() }()
	if err := answerer.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	if said, err := asker.Request(subject, nil, time.Minute); err != nil || string(said.Data) != "because" {
		t.Fatalf("got %v, %v", said, err)
	}
	heard := arrivals(t, d, nowhere())
	for reply := range nowhere() {
		if err := asker.PublishRequest(subject, reply, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := asker.Request(subject, nil, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for _, arrived := range heard() {
		t.Errorf("an answer has gone to %s", arrived)
	}
	for _, unasked := range unaskedAt {
		if err := answerer.Publish(unasked, nil); err != nil {
			t.Fatal(err)
		}
		if !refused.tells(unasked) {
			t.Errorf("it may speak unasked at %s", unasked)
		}
	}
}

// itsOwn is what the service of events may ask for beyond reading: what comes by the consumer that is there from the start, how far those
// had got that an earlier version made, and that what has been delivered waits no more.
func itsOwn() []string {
	return []string{
		"$JS.API.CONSUMER.MSG.NEXT." + bus.EventsStream + "." + bus.ErasureConsumer, "$JS.API.CONSUMER.INFO." + bus.EventsStream + ".*",
		"$JS.API.STREAM.MSG.DELETE." + bus.WebhookRetriesStream,
	}
}

// What a service in an account of its own may publish is what its account lets out, so that a refusal is told to it and to the log; and
// nothing of it makes a consumer or changes a stream.
func TestTheAccountOfAServiceLetsOutWhatTheServiceMayAskForAndNoMore(t *testing.T) {
	setPasswords(t)
	all, err := conf.ParseFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	accounts := all["accounts"].(map[string]any)
	for name := range isolated() {
		account := accounts[strings.ToUpper(name)].(map[string]any)
		var imported, allowed []string
		for _, one := range account["imports"].([]any) {
			one := one.(map[string]any)
			service, is := one["service"].(map[string]any)
			if !is || service["subject"] == "nobody.>" {
				continue
			}
			if to, moved := one["to"]; moved {
				t.Errorf("%s: %v is imported as %v", name, service["subject"], to)
			}
			imported = append(imported, service["subject"].(string))
		}
		user := account["users"].([]any)[0].(map[string]any)
		for _, subject := range user["permissions"].(map[string]any)["publish"].([]any) {
			allowed = append(allowed, subject.(string))
		}
		slices.Sort(imported)
		slices.Sort(allowed)
		if !slices.Equal(imported, allowed) || len(imported) == 0 {
			t.Errorf("%s may publish\n%q\nits account lets out\n%q", name, allowed, imported)
		}
		for _, subject := range imported {
			if name == settings.Events && slices.Contains(itsOwn(), subject) {
				continue
			}
			for _, verb := range []string{"CONSUMER", "CREATE", "UPDATE", "DELETE", "RESTORE", "SNAPSHOT"} {
				if strings.HasPrefix(subject, "$JS.") && slices.Contains(strings.Split(subject, "."), verb) {
					t.Errorf("%s may ask for %s", name, subject)
				}
			}
		}
	}
}

// What was stored before there were accounts is in the directory of the one that has no name.
func TestWhatWasStoredBeforeThereWereAccountsIsThereOnceItsDirectoryIsMovedAsDeployMovesIt(t *testing.T) {
	dir, before := t.TempDir(), bus.DefaultConfig()
	before.DataDir = dir
	b, err := bus.Open(t.Context(), before, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const key = "pro-1.a"
	bucket, err := b.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.PutString(t.Context(), key, "kept"); err != nil {
		t.Fatal(err)
	}
	b.Close()
	store := filepath.Join(dir, "nats")
	for range 2 { // at each start
		move := exec.CommandContext(t.Context(), "sh", "-ec", moving(t))
		move.Env = append(os.Environ(), "DATA="+store)
		if said, err := move.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	operator, _ := startDeployedOn(t, store).connect(t, "operator")
	js, err := jetstream.New(operator)
	if err != nil {
		t.Fatal(err)
	}
	if bucket, err = js.KeyValue(t.Context(), bus.AccountsBucket); err != nil {
		t.Fatal(err)
	}
	if e, err := bucket.Get(t.Context(), key); err != nil || string(e.Value()) != "kept" {
		t.Errorf("got %v, %v", e, err)
	}
}

// moving is the line of the compose file that moves the data, of the directory $DATA.
func moving(t *testing.T) string {
	t.Helper()
	for line := range strings.SplitSeq(deployFile(t, "compose.yaml"), "\n") {
		if strings.Contains(line, "mv ") {
			return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(line), "$$", "$"), "/data/", `"$DATA"/`)
		}
	}
	t.Fatal("deploy/compose.yaml moves nothing")
	return ""
}
