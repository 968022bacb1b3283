package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/keyring"
)

// secretBuckets hold what sessions, tokens and codes are made or told with, by who may touch them beside an operator.
func secretBuckets() map[string]string {
	buckets := map[string]string{bus.WebhooksBucket: settings.Events}
	for _, name := range []string{
		bus.KeysBucket, bus.ProjectKeysBucket, bus.SessionsBucket, bus.SessionIndexBucket, bus.CodesBucket, bus.TokensBucket,
		bus.SpentBucket, bus.ProcessesBucket, bus.StepUpsBucket, bus.NobodiesBucket,
		bus.ChallengesBucket,
	} {
		buckets[name] = settings.Ceremony
	}
	return buckets
}

const knownKey = "pro-1.a.b"

// attack is a request to JetStream that would read or destroy what a bucket holds, or let somebody else read it.
type attack struct{ what, subject, payload string }

func attacks(bucket string) []attack {
	s, key := "KV_"+bucket, "$KV."+bucket+"."+knownKey
	last := fmt.Sprintf(`{"last_by_subj":%q}`, key)
	consumer := func(name string, more string) string {
		return fmt.Sprintf(`{"stream_name":%q,"config":{"name":%q,"ack_policy":"none","deliver_policy":"all"%s}}`, s, name, more)
	}
	return []attack{
		{"what the bucket is", "$JS.API.STREAM.INFO." + s, `{"subjects_filter":">"}`},
		{"a direct read", "$JS.API.DIRECT.GET." + s + "." + key, ""},
		{"a direct read of the last message", "$JS.API.DIRECT.GET." + s, last},
		{"a direct read by sequence", "$JS.API.DIRECT.GET." + s, `{"seq":1}`},
		{"a read from the leader", "$JS.API.STREAM.MSG.GET." + s, last},
		{"a consumer", "$JS.API.CONSUMER.CREATE." + s + ".spy1", consumer("spy1", "")},
		{"a consumer of one key", "$JS.API.CONSUMER.CREATE." + s + ".spy2." + key, consumer("spy2", fmt.Sprintf(`,"filter_subject":%q`, key))},
		{
			"a consumer without a name",
			"$JS.API.CONSUMER.CREATE." + s,
			fmt.Sprintf(`{"stream_name":%q,"config":{"ack_policy":"none","deliver_policy":"all"}}`, s),
		},
		{"a durable consumer", "$JS.API.CONSUMER.DURABLE.CREATE." + s + ".spy3",
			fmt.Sprintf(`{"stream_name":%q,"config":{"durable_name":"spy3","ack_policy":"explicit","deliver_policy":"all"}}`, s)},
		{
			"a copy under another name",
			"$JS.API.STREAM.CREATE.MIRROR_" + bucket,
			fmt.Sprintf(`{"name":"MIRROR_%s","storage":"file","mirror":{"name":%q}}`, bucket, s),
		},
		{
			"a source of another stream",
			"$JS.API.STREAM.CREATE.COPY_" + bucket,
			fmt.Sprintf(`{"name":"COPY_%s","storage":"file","sources":[{"name":%q}]}`, bucket, s),
		},
		{
			"that all is told to whoever listens",
			"$JS.API.STREAM.UPDATE." + s,
			fmt.Sprintf(
				`{"name":%q,"subjects":["$KV.%s.>"],"storage":"file","max_msgs_per_subject":1,"duplicate_window":120000000000,"deny_delete":true,`+
					`"allow_rollup_hdrs":true,"allow_direct":true,"max_bytes":-1,"max_msgs":-1,"discard":"new","num_replicas":1,"republish":{"src":">",`+
					`"dest":"_INBOX.told.>"}}`,
				s,
				bucket,
			),
		},
		{"a snapshot", "$JS.API.STREAM.SNAPSHOT." + s, `{"deliver_subject":"_INBOX.snapshot"}`},
		{"a purge", "$JS.API.STREAM.PURGE." + s, ""},
		{"the deletion of a message", "$JS.API.STREAM.MSG.DELETE." + s, `{"seq":1}`},
		{"a write", key, "mine"},
		{"the end of the bucket", "$JS.API.STREAM.DELETE." + s, ""},
	}
}

// listening are subscriptions by which somebody would hear what is not his.
func listening(bucket string) []string {
	return []string{
		"$KV." + bucket + ".>", ">", "_INBOX.>", "_INBOX." + settings.Ceremony + ".>", "$JS.API.>", "$JS.EVENT.>",
		"keyward.>", "keyward.ceremony.>",
	}
}

// deployed is the NATS server as deploy/ configures it, with every bucket. It sets the environment, so its test does not run
// beside others.
type deployed struct{ *server.Server }

func startDeployed(t *testing.T) deployed {
	t.Helper()
	return startDeployedOn(t, t.TempDir())
}

func startDeployedOn(t *testing.T, dir string) deployed {
	t.Helper()
	setPasswords(t)
	opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.Host, opts.Port, opts.HTTPHost, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "", 0
	opts.StoreDir, opts.NoSigs, opts.NoLog = dir, true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	cfg := bus.DefaultConfig()
	cfg.URL = strings.Replace(s.ClientURL(), "://", "://provision:pprovision@", 1)
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("what there is cannot be created: %v", err)
	}
	b.Close()
	d := deployed{s}
	conn, _ := d.connect(t, settings.Ceremony)
	defer conn.Close()
	for name, owner := range secretBuckets() {
		if owner != settings.Ceremony {
			continue
		}
		if _, err := conn.Request("$KV."+name+"."+knownKey, []byte("secret"), time.Minute); err != nil {
			t.Fatalf("the ceremony service cannot write to %s: %v", name, err)
		}
	}
	return d
}

// refusals are what the server says to a user that it refuses.
type refusals struct {
	mu   sync.Mutex
	said strings.Builder
}

func (r *refusals) note(_ *nats.Conn, _ *nats.Subscription, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.WriteString(strings.ToLower(err.Error()) + "\n")
}

// tells waits until the server has refused a subject.
func (r *refusals) tells(subject string) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		r.mu.Lock()
		said := strings.Contains(r.said.String(), fmt.Sprintf("%q", strings.ToLower(subject)))
		r.mu.Unlock()
		if said {
			return true
		}
	}
	return false
}

func (d deployed) connect(t *testing.T, user string) (*nats.Conn, *refusals) {
	t.Helper()
	refused := &refusals{}
	conn, err := nats.Connect(
		d.ClientURL(), nats.UserInfo(user, "p"+user), nats.CustomInboxPrefix("_INBOX."+user), nats.ErrorHandler(refused.note),
	)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	t.Cleanup(conn.Close)
	return conn, refused
}

// mustBeRefused makes requests as a user, and waits until the server has refused each.
func mustBeRefused(t *testing.T, user string, conn *nats.Conn, refused *refusals, all []attack) {
	t.Helper()
	for _, a := range all {
		if err := conn.PublishRequest(a.subject, conn.NewInbox(), []byte(a.payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if !refused.tells(a.subject) {
			t.Errorf("%s is not refused %s: %s", user, a.what, a.subject)
		}
	}
}

// Whoever takes a gateway, or a process that decides or that keeps events, must not get at what makes a token.
func TestNoServiceButCeremonyCanReadWhatMakesAToken(t *testing.T) {
	d := startDeployed(t)
	for _, name := range settings.ServiceNames() {
		if name == settings.Ceremony {
			continue
		}
		conn, refused := d.connect(t, name)
		var all []attack
		var heard []string
		for bucket, owner := range secretBuckets() {
			if owner == name {
				continue
			}
			all = append(all, attacks(bucket)...)
			for _, subject := range listening(bucket) {
				if _, err := conn.SubscribeSync(subject); err != nil {
					t.Fatal(err)
				}
				heard = append(heard, subject)
			}
		}
		// A stream of its own could be filled from any other.
		for _, own := range []string{"KV_" + bus.ProjectsBucket, bus.DecisionsStream, bus.EventsStream, "KV_" + bus.WebhooksBucket, "MINE"} {
			for _, verb := range []string{"CREATE", "UPDATE"} {
				all = append(
					all,
					attack{"a source", "$JS.API.STREAM." + verb + "." + own, `{"name":"` + own + `","sources":[{"name":"KV_project-keys"}]}`},
				)
			}
		}
		mustBeRefused(t, name, conn, refused, all)
		for _, subject := range heard {
			if !refused.tells(subject) {
				t.Errorf("%s hears %s", name, subject)
			}
		}
	}
}

// The attacks fail for want of a permission and of nothing else: whoever has all succeeds.
func TestTheAttacksOnSecretsWouldSucceedIfTheyWereAllowed(t *testing.T) {
	d := startDeployed(t)
	conn, _ := d.connect(t, "operator")
	for _, a := range attacks(bus.ProjectKeysBucket) {
		reply, err := conn.Request(a.subject, []byte(a.payload), 10*time.Second)
		if err != nil {
			t.Errorf("%s: %v", a.what, err)
			continue
		}
		var said struct {
			Error *struct{ Description string }
		}
		_ = json.Unmarshal(reply.Data, &said) // a direct read answers with the message itself
		if (said.Error != nil && a.what != "the deletion of a message") || reply.Header.Get("Status") != "" {
			t.Errorf("%s: %s %v", a.what, reply.Data, reply.Header)
		}
	}
}

// Whoever may make consumers can have a bucket copied, and written, by a detour. The copy is encrypted under a key that the ceremony
// service alone has, and what is written is not believed, since it is not.
func TestWhatIsCopiedOfABucketIsEncryptedAndWhatIsWrittenIsNotBelieved(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	d := startDeployed(t)
	keys, err := atrest.Parse(atrest.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	operator, _ := d.connect(t, "operator")
	js, err := jetstream.New(operator)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), bus.ProjectKeysBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Purge(t.Context(), knownKey); err != nil {
		t.Fatal(err)
	}
	open := func() *keyring.Store {
		store, err := keyring.Open(
			t.Context(),
			keyring.Deps{Bucket: bucket, Sealer: keys.Strict(), Keep: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler)},
		)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	versions, err := open().List(t.Context(), "pro-1")
	if err != nil {
		t.Fatal(err)
	}
	root := []byte(versions[0].Root)

	stored, err := bucket.Get(t.Context(), "pro-1")
	if err != nil {
		t.Fatal(err)
	}
	if copied := stored.Value(); len(copied) < len(root) || bytes.Contains(copied, root) ||
		bytes.Contains(copied, []byte(base64.StdEncoding.EncodeToString(root))) {
		t.Errorf("what is copied is not encrypted: %q", copied)
	}
	planted := `[{"number":1,"root":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}]`
	if _, err := bucket.Put(t.Context(), "pro-1", []byte(planted)); err != nil {
		t.Fatal(err)
	}
	if versions, err := open().List(t.Context(), "pro-1"); err == nil {
		t.Errorf("what was written is believed: %d versions", len(versions))
	}
}
