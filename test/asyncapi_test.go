package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/yamljson"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// streamContract is api/asyncapi.yaml with its schemas compiled.
type streamContract struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	messages map[string]streamMessage // by name, which is the CloudEvents type
}

type streamMessage struct {
	file    string // of the body's schema, below api
	address *regexp.Regexp
	headers *jsonschema.Schema
	body    *jsonschema.Schema
}

const asyncAPI = "https://keyward.invalid/asyncapi.json"

// readStreamContract compiles the document. Schemas of bodies allow members that they do not know, for readers; what Keyward publishes must
// be known, so here they do not.
func readStreamContract(t *testing.T) *streamContract {
	t.Helper()
	asJSON, err := yamljson.ToJSON(api.AsyncAPI)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := &streamContract{root: document.(map[string]any), compiler: jsonschema.NewCompiler(), messages: map[string]streamMessage{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(asyncAPI, document); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(api.Events, "events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	base, err := fs.Glob(api.Events, "events/base/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, base...) {
		raw, err := api.Events.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if path.Dir(name) == "events" {
			schema.(map[string]any)["unevaluatedProperties"] = false
		} else {
			closeObjects(schema.(map[string]any)["$defs"])
		}
		if err := c.compiler.AddResource("https://keyward.invalid/"+name, schema); err != nil {
			t.Fatal(err)
		}
	}
	c.readChannels(t)
	return c
}

// closeObjects forbids unknown members of the objects inside bodies.
func closeObjects(schemas any) {
	for _, schema := range asMap(schemas) {
		if object := asMap(schema); object["properties"] != nil {
			object["additionalProperties"] = false
		}
	}
}

func asMap(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

// follow resolves a reference within the document.
func (c *streamContract) follow(value any) map[string]any {
	m := asMap(value)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	at := any(c.root)
	for token := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = asMap(at)[token]
	}
	return c.follow(at)
}

func (c *streamContract) readChannels(t *testing.T) {
	t.Helper()
	id := map[string]string{"{project}": "(?:pro-[0-9]{1,19}|_)", "{user}": "(?:usr-[0-9]{1,19}|_)"}
	for _, channel := range asMap(c.root["channels"]) {
		address := regexp.QuoteMeta(asMap(channel)["address"].(string))
		for name, form := range id {
			address = strings.ReplaceAll(address, regexp.QuoteMeta(name), form)
		}
		for _, ref := range asMap(asMap(channel)["messages"]) {
			message := c.follow(ref)
			name := message["name"].(string)
			last := name[strings.LastIndex(name, ".")+1:]
			payload := asMap(message["payload"])
			file := strings.TrimPrefix(asMap(payload["schema"])["$ref"].(string), "./")
			trait := c.follow(message["traits"].([]any)[0])
			headers := strings.TrimPrefix(asMap(trait["headers"])["$ref"].(string), "#")
			m := streamMessage{
				file:    file,
				address: regexp.MustCompile("^" + regexp.MustCompile(`\\\{(type|action)\\\}`).ReplaceAllString(address, regexp.QuoteMeta(last)) + "$"),
				headers: c.compile(t, asyncAPI+"#"+headers),
				body:    c.compile(t, "https://keyward.invalid/"+file),
			}
			if _, twice := c.messages[name]; twice {
				t.Errorf("message %s is in two channels", name)
			}
			c.messages[name] = m
		}
	}
}

func (c *streamContract) compile(t *testing.T, where string) *jsonschema.Schema {
	t.Helper()
	schema, err := c.compiler.Compile(where)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// check returns what is wrong with a message.
func (c *streamContract) check(msg *nats.Msg) error {
	name := msg.Header.Get("ce-type")
	known, ok := c.messages[name]
	if !ok {
		return fmt.Errorf("the document has no message %q", name)
	}
	if !known.address.MatchString(msg.Subject) {
		return fmt.Errorf("subject %s is not the address of %s", msg.Subject, name)
	}
	headers := map[string]any{}
	for key, values := range msg.Header {
		if strings.HasPrefix(key, "Nats-Expected-") || strings.HasPrefix(key, "Nats-Batch-") {
			continue // how it was published, for the server
		}
		if len(values) != 1 {
			return fmt.Errorf("header %s is there %d times", key, len(values))
		}
		headers[key] = values[0]
	}
	if err := known.headers.Validate(headers); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(msg.Data))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if err := known.body.Validate(body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return c.agree(msg, asMap(body))
}

// agree returns what subject, headers and body contradict each other in. Events that NATS is to know again name their ID twice.
func (c *streamContract) agree(msg *nats.Msg, body map[string]any) error {
	tokens := strings.Split(msg.Subject, ".")
	if tokens[1] == "audit" {
		return agreeAudit(msg, tokens, body)
	}
	user, _ := body["user"].(string)
	if user == "" {
		user = "_"
	}
	last, _ := body["type"].(string)
	if last == "" {
		last, _ = body["action"].(string)
	}
	want := []string{tokens[0], tokens[1], body["project"].(string), user, last}
	if diff := cmp.Diff(want, tokens); diff != "" {
		return fmt.Errorf("body and subject differ: %s", diff)
	}
	if msg.Header.Get("ce-id") != body["id"] || msg.Header.Get("ce-subject") != user ||
		msg.Header.Get("ce-source") != "/keyward/projects/"+tokens[2] {
		return fmt.Errorf("body and headers differ: %v", msg.Header)
	}
	if id := msg.Header.Get(nats.MsgIdHdr); id != msg.Header.Get("ce-id") && id != "" || (id != "") != (tokens[1] == "events") {
		return fmt.Errorf("%s is %q", nats.MsgIdHdr, id)
	}
	at, err := time.Parse(time.RFC3339, msg.Header.Get("ce-time"))
	if err != nil {
		return err
	}
	if ms, ok := body["createdMs"].(json.Number); ok && ms.String() != fmt.Sprint(at.UnixMilli()) {
		return fmt.Errorf("ce-time is %s, createdMs %s", at, ms)
	}
	return nil
}

// agreeAudit is agree of a security event, which is of a project or of the installation.
func agreeAudit(msg *nats.Msg, tokens []string, body map[string]any) error {
	about, from := "_", "/keyward"
	if project, _ := body["project"].(string); project != "" {
		about, from = project, "/keyward/projects/"+project
	}
	if diff := cmp.Diff([]string{"passkey", "audit", about, body["type"].(string)}, tokens); diff != "" {
		return fmt.Errorf("body and subject differ: %s", diff)
	}
	id, head := body["id"], msg.Header.Get
	if head("ce-id") != id || head(nats.MsgIdHdr) != id || head("ce-subject") != about || head("ce-source") != from {
		return fmt.Errorf("body and headers differ: %v", msg.Header)
	}
	return nil
}

func TestTheAsyncAPIDocumentIsOne(t *testing.T) {
	t.Parallel()
	const meta = "asyncapi/node_modules/@asyncapi/specs/schemas/3.1.0-without-$id.json"
	raw, err := os.ReadFile(meta)
	if err != nil {
		t.Fatalf("the schema of AsyncAPI documents is not installed (make test installs it): %v", err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("https://keyward.invalid/meta.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("https://keyward.invalid/meta.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(readStreamContract(t).plain(t)); err != nil {
		t.Errorf("api/asyncapi.yaml: %v", err)
	}
	if err := compiled.Validate(map[string]any{"asyncapi": "3.1.0", "info": map[string]any{"title": "x"}}); err == nil {
		t.Error("a document without a version was taken: the check checks nothing")
	}
}

// plain returns the document with numbers as the check wants them.
func (c *streamContract) plain(t *testing.T) any {
	t.Helper()
	raw, err := json.Marshal(c.root)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestEveryTypeOfEventHasASchemaAndAMessageAndNothingElseHas(t *testing.T) {
	t.Parallel()
	c := readStreamContract(t)
	want := map[string]string{}
	for _, kind := range event.Types() {
		want["keyward.passkey."+string(kind)] = "events/" + string(kind) + ".json"
	}
	for _, action := range []string{"login", "append", "mediation", "rollout", "risk"} {
		want["keyward.decision."+action] = "events/decision-" + action + ".json"
	}
	for _, kind := range audit.Types() {
		want["keyward.audit."+string(kind)] = "events/audit-" + string(kind) + ".json"
	}
	got := map[string]string{}
	for name, m := range c.messages {
		got[name] = m.file
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages: %s", diff)
	}
	files, err := fs.Glob(api.Events, "events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Values(want)), files); diff != "" {
		t.Errorf("schemas: %s", diff)
	}
	if listed := asMap(asMap(c.root["components"])["messages"]); len(listed) != len(want) {
		t.Errorf("%d messages are described, %d used", len(listed), len(want))
	}
}

func TestEverythingThatIsPublishedIsAsTheAsyncAPIDocumentSays(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{{name: "one process"}, {name: "split", split: true}} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			bundle := policiestest.Dir(t, policiestest.Files(t))
			declareLabel(t, bundle, "admin")
			enforceIn(t, bundle)
			st := s.start(t, func(c *settings.Config) {
				c.NATS.Addr, c.Delivery.Kind, c.Decision.PoliciesDir = "127.0.0.1:0", delivery.Outbox, bundle
				c.Unproven.Requests, c.Decision.Files.CityDB = fewUnproven, citiesFile(t)
			})
			tellAllTypes(t, st)
			tellStepUps(t, st)
			changeEverything(t, st, bundle)
			published := allMessages(t, st)
			c := readStreamContract(t)
			seen := map[string]bool{}
			for _, msg := range published {
				if err := c.check(msg); err != nil {
					t.Errorf("%s\n%v\n%s", msg.Subject, err, msg.Data)
				}
				checkPolicySide(t, msg)
				seen[msg.Header.Get("ce-type")] = true
			}
			for name := range c.messages {
				if !seen[name] {
					t.Errorf("no message %s was published, so nothing is known of it", name)
				}
			}
		})
	}
}

// allMessages returns all messages of the four streams, once decisions, which come late, have come.
func allMessages(t *testing.T, st *stack) []*nats.Msg {
	t.Helper()
	js := st.jetStream(t)
	eventually(t, "no decision of a mediation was recorded", func() bool {
		stream, err := js.Stream(t.Context(), bus.DecisionsStream)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), bus.DecisionsPrefix+".*._.mediation")
		return err == nil
	})
	var all []*nats.Msg
	for _, name := range []string{bus.EventsStream, bus.OffersStream, bus.DecisionsStream, bus.AuditStream} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := stream.CachedInfo().State
		for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
			raw, err := stream.GetMsg(t.Context(), sequence)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue // erased
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data})
		}
	}
	return all
}

// natsAddress is where NATS listens, its own or the server's.
func (s *stack) natsAddress(t *testing.T) string {
	t.Helper()
	if s.natsURL != "" {
		return s.natsURL
	}
	address, err := bus.ServerURL(s.dataDir)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// jetStream connects as a NATS tool would.
func (s *stack) jetStream(t *testing.T) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(s.natsAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// checkPolicySide holds facts and answer of a decision against the schemas of the bundle.
func checkPolicySide(t *testing.T, msg *nats.Msg) {
	t.Helper()
	action, ok := strings.CutPrefix(msg.Header.Get("ce-type"), "keyward.decision.")
	if !ok {
		return
	}
	var record struct{ Facts, Answer json.RawMessage }
	if err := json.Unmarshal(msg.Data, &record); err != nil {
		t.Fatal(err)
	}
	for file, part := range map[string]json.RawMessage{
		"schemas/" + action + ".jsonschema":        record.Facts,
		"schemas/output/" + action + ".jsonschema": record.Answer,
	} {
		raw, err := fs.ReadFile(policies.Bundle, file)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("https://keyward.invalid/"+file, schema); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile("https://keyward.invalid/" + file)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", file, err, part)
		}
	}
}
