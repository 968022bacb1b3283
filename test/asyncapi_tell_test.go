package test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place/mmdbtest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/remote"
)

// fewUnproven are so few refused logins of a user that one more is soon told of as too many.
const fewUnproven = 4

// tellDoubts does what casts doubt on a user's passkeys and codes.
func tellDoubts(t *testing.T, st *stack) {
	t.Helper()
	refused := func(p *person) {
		process := p.nextProcess()
		p.loginFinish(t, process, p.loginStart(t, process).AssertionOptions).fault(t, 400)
	}
	copied := st.newPerson(t)
	copied.device = authenticator.SecurityKey()
	copied.createPasskey(t)
	process := copied.nextProcess()
	as[rest.PasskeyLoginFinishRsp](t, copied.loginFinish(t, process, copied.loginStart(t, process).AssertionOptions))
	copied.device.Passkeys[0].Credential.Counter = 0
	refused(copied)
	changed := st.newPerson(t)
	changed.createPasskey(t)
	changed.device.BackupEligible, changed.device.BackupState = false, false
	for range fewUnproven + 1 {
		refused(changed)
	}
	moved := st.newPerson(t)
	moved.createPasskey(t)
	moved.device.BackupState, moved.handle = false, ""
	process = moved.nextProcess()
	as[rest.PasskeyLoginFinishRsp](t, moved.loginFinish(t, process, moved.loginStart(t, process).AssertionOptions))
	strange := st.newPerson(t)
	process = strange.nextProcess()
	response, err := strange.device.Create(strange.appendStart(t, process).AttestationOptions, "https://evil.example")
	if err != nil {
		t.Fatal(err)
	}
	strange.call(t, http.MethodPost, "/v2/passkey/append/finish", map[string]any{
		"userID": strange.id, "processID": process, "attestationResponse": response, "clientInformation": mac(strange.handle),
	}).fault(t, 400)
	guessed := st.newPerson(t)
	identifier := map[string]any{"identifierType": "email", "identifierValue": guessed.id + "@example.com", "status": "primary"}
	as[rest.Identifier](t, guessed.call(t, http.MethodPost, "/v2/users/"+guessed.id+"/identifiers", identifier))
	made := as[rest.Challenge](t, guessed.call(t, http.MethodPost, "/v2/users/"+guessed.id+"/challenges", map[string]any{
		"challengeType": "email_otp", "identifierValue": guessed.id + "@example.com", "clientInformation": mac(""),
	}))
	guessed.call(t, http.MethodPatch, "/v2/users/"+guessed.id+"/challenges/"+made.ChallengeID, map[string]any{
		"value": "x" + made.Value,
	}).fault(t, 400)
}

// citiesFile is a database that places who calls at home and from abroad.
func citiesFile(t *testing.T) string {
	t.Helper()
	cities := mmdbtest.Write(time.Now(), map[string]mmdbtest.Entry{
		"192.0.2.0/24": mmdbtest.Located("DE", 52.52, 13.40, 20), abroad + "/32": mmdbtest.Located("BR", -23.55, -46.63, 50),
	})
	name := filepath.Join(t.TempDir(), "cities.mmdb")
	if err := os.WriteFile(name, cities, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const abroad = "198.51.100.9"

// tellCountry logs in from a country where the user never was.
func tellCountry(t *testing.T, st *stack) {
	t.Helper()
	traveller := st.newPerson(t)
	traveller.createPasskey(t)
	process := traveller.nextProcess()
	body := traveller.loginFinishBody(t, process, traveller.loginStart(t, process).AssertionOptions)
	client := mac(traveller.handle)
	client["remoteAddress"] = abroad
	body["clientInformation"] = client
	as[rest.PasskeyLoginFinishRsp](t, traveller.call(t, http.MethodPost, "/v2/passkey/login/finish", body))
}

// tellAllTypes does everything that an event tells of.
func tellAllTypes(t *testing.T, st *stack) {
	t.Helper()
	gone := st.newPerson(t)
	gone.createPasskey(t)
	p := st.newPerson(t)
	process := p.nextProcess()
	if denied := p.loginStart(t, process); denied.LoginAllow {
		t.Fatal("a login without a passkey was allowed")
	}
	created := p.createPasskey(t)
	process = p.nextProcess()
	start := p.loginStart(t, process)
	as[rest.PasskeyLoginFinishRsp](t, p.loginFinish(t, process, start.AssertionOptions))
	mediation(t, p)
	tellDoubts(t, st)
	tellCountry(t, st)

	var last rest.PasskeyEvent
	for _, kind := range event.Types() {
		if !kind.OnWire() {
			continue
		}
		last = p.postEvent(t, map[string]any{
			"eventType":    kind,
			"processID":    p.nextProcess(),
			"clientEnvID":  start.DetectionInsights.ClientEnvIds[0],
			"credentialID": created.ID,
			"challenge":    "Y2hhbGxlbmdl",
			"expires":      time.Now().Add(time.Hour).Unix(),
		})
		p.postEvent(t, map[string]any{"eventType": kind})
	}
	as[rest.GenericRsp](t, p.call(t, http.MethodDelete, "/v2/users/"+p.id+"/passkeyEvents/"+last.PasskeyEventID, nil))
	for _, kind := range []rest.AuthEventType{rest.AuthEventTypeSignUp, rest.AuthEventTypeLogin, rest.AuthEventTypeNewPasskeyAdded} {
		p.call(t, http.MethodPost, "/v2/users/"+p.id+"/authEvents", map[string]any{
			"username": "ada@example.com", "eventType": kind, "method": "password", "status": "success",
			"clientInformation": map[string]any{"remoteAddress": "203.0.113.7", "userAgent": "Mozilla/5.0"},
		})
	}
	as[rest.GenericRsp](t, p.call(
		t, http.MethodDelete, "/v2/users/"+p.id+"/clientEnvs/"+start.DetectionInsights.ClientEnvIds[0], nil,
	))
	as[rest.User](t, p.call(t, http.MethodPatch, "/v2/users/"+p.id, map[string]any{"fullName": "Ada"}))
	as[rest.UserLabels](t, p.call(t, http.MethodPut, "/v2/users/"+p.id+"/labels", map[string]any{"labels": []string{"admin"}}))
	as[rest.GenericRsp](t, p.call(t, http.MethodDelete, "/v2/users/"+p.id+"/credentials/"+created.ID, nil))
	userServiceCall[any](
		t, st.client, http.MethodPost, "/v2/users/"+p.id+"/passkeys/registration_link",
		map[string]any{"returnCode": map[string]any{}},
	)
	as[rest.GenericRsp](t, gone.call(t, http.MethodDelete, "/v2/users/"+gone.id, nil))
	rollout(t, st)
	changeStatus(t, st, p, created.ID)
	// A decision about nobody.
	p.call(t, http.MethodPost, "/v2/passkey/mediation/start", map[string]any{"processID": p.nextProcess(), "clientInformation": mac("")})
}

// changeStatus tells of an authenticator what the pass over all passkeys does, which looks once a minute.
func changeStatus(t *testing.T, st *stack, p *person, credential string) {
	t.Helper()
	calls := remote.NewEventsClient(st.jetStream(t).Conn(), rpc.Within(time.Minute))
	if _, err := calls.Append(t.Context(), event.Event{
		ID: ident.NewEventID(), Project: ident.ProjectID(p.project), User: ident.UserID(p.id), Type: event.AuthenticatorStatusChanged,
		CreatedMs: time.Now().UnixMilli(), Credential: credential,
		Authenticator: &event.Authenticator{
			AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", Before: "ok", Status: "revoked", Level: 1, Number: 7, Reports: []string{"REVOKED"},
		},
	}); err != nil {
		t.Fatal(err)
	}
}

// rollout asks the decision service, as another service does.
func rollout(t *testing.T, st *stack) {
	t.Helper()
	calls := remote.NewDecisionClient(st.jetStream(t).Conn(), rpc.Within(time.Minute))
	q := service.RolloutQuestion{
		Question: service.Question{Project: "pro-1", Process: "process-1"}, Action: service.RolloutLogin,
		Identifier: "ada@example.com",
	}
	v, err := calls.Rollout(t.Context(), q)
	if err != nil || !v.Allow || v.Tag != service.TagRolloutAllowed {
		t.Fatalf("%+v, %v", v, err)
	}
}

// changeEverything does what security events tell of. What commands tell beside that comes through the same recorder.
func changeEverything(t *testing.T, st *stack, bundle string) {
	t.Helper()
	js := st.jetStream(t)
	bucket, err := js.KeyValue(t.Context(), bus.ProjectsBucket)
	if err != nil {
		t.Fatal(err)
	}
	store, err := project.NewStore(t.Context(), bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	told := audit.NewRecorder(js, audit.Actor{Kind: audit.Command, Name: "keyward project"}, time.Now).Tell()
	store.TellTo(told)
	origins := []string{"https://other.example"}
	made, err := project.New(ident.NewProjectID(), "Other", "other.example", "Other", origins, project.NewSecret(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := project.NewAPIKey(made.ID, "reader", []string{project.AllPermissions}, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issuer := project.Issuer{URL: "https://issuer.example", Audience: "other", UserClaim: "sub", PermissionClaim: "permissions"}
	if err := store.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*project.Project){
		"names":  func(p *project.Project) { p.Name, p.RPName = "Another", "Another" },
		"secret": func(p *project.Project) { p.Secret = project.HashSecret(project.NewSecret()) },
	} {
		if err := store.Update(t.Context(), made.ID, change); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for _, change := range []func(*project.Project) error{
		func(p *project.Project) error { return errors.Join(p.AddKey(key), p.AddIssuer(issuer)) },
		func(p *project.Project) error {
			p.RevokeKey(key.ID)
			p.RemoveIssuer(issuer.URL, issuer.Audience)
			return nil
		},
	} {
		if err := store.Change(t.Context(), made.ID, change); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	bundled := audit.Policy{Revision: "1", Content: "0123456789ab"}
	told.Add(
		t.Context(),
		audit.Event{Type: audit.KeysRotated, Project: made.ID, Version: 2}, audit.Event{Type: audit.RiskKeyRotated, Project: made.ID, Version: 2},
		audit.Event{Type: audit.KeysDropped, Project: made.ID, Version: 2},
		audit.Event{Type: audit.LimitHit, Limit: "rate_limit_address", Count: 1, FromMs: 1, ToMs: 2},
		audit.Event{Type: audit.CodesGuessed, Project: made.ID, Count: 1, FromMs: 1, ToMs: 2},
		audit.Event{Type: audit.SigningKeyCreated, Project: made.ID, SigningKey: ident.NewKeyID()},
		audit.Event{Type: audit.SigningKeyRotated, Project: made.ID, SigningKey: ident.NewKeyID()},
		audit.Event{Type: audit.WebhookCreated, Project: made.ID, Webhook: ident.NewWebhookID()},
		audit.Event{Type: audit.WebhookUpdated, Project: made.ID, Webhook: ident.NewWebhookID(), Changed: []string{"secrets"}},
		audit.Event{Type: audit.WebhookDeleted, Project: made.ID, Webhook: ident.NewWebhookID()},
		audit.Event{Type: audit.WebhookEnded, Project: made.ID, Webhook: ident.NewWebhookID()},
		audit.Event{Type: audit.StartedUnencrypted},
		audit.Event{Type: audit.PolicyPushed, Release: &audit.Release{Number: 1, Policy: bundled}, Reason: "it was asked for"},
		audit.Event{
			Type: audit.PolicyChanged, Release: &audit.Release{Number: 1, Policy: bundled}, Change: 2, RolledBack: true, Reason: "it was wrong",
			ReleaseBefore: &audit.Release{Number: 2, Policy: bundled},
		},
		audit.Event{
			Type: audit.PolicyTried, Release: &audit.Release{Number: 2, Policy: bundled}, Change: 3, Step: "canary-begun",
			Share: 500, Reason: "a try",
		},
		audit.Event{
			Type: audit.ListChanged, List: &audit.List{Name: "bad", Kind: "asn", Entries: 1}, Added: []string{"64500"},
			ListBefore: &audit.List{Name: "bad", Kind: "asn", Entries: 1}, Removed: []string{"64501"}, UntilMs: 1, Reason: "an attack",
		},
		audit.Event{
			Type:         audit.SwitchTurned,
			Switch:       &audit.Switch{Name: "stop", On: true, Project: "pro-1", Action: "login", OS: "ios", Browser: "safari", UntilMs: 1},
			SwitchBefore: &audit.Switch{Name: "stop"}, Reason: "an attack",
		},
		audit.Event{
			Type: audit.OperatorActed, Project: made.ID, User: ident.NewUserID(), Act: "barred", Now: []string{"login"},
			EventID: ident.NewEventID(), UntilMs: 1, Reason: "a stolen phone",
		},
		audit.Event{Type: audit.OperatorSignedIn, Operator: &audit.OperatorAccount{ID: ident.NewOperatorID(), Name: "Ada", Role: "author"}},
		ofPasskey(audit.OperatorPasskeyAdded), ofPasskey(audit.OperatorPasskeyRemoved), ofPasskey(audit.OperatorPasskeyCopied),
		audit.Event{Type: audit.OperatorCreated, Operator: &audit.OperatorAccount{ID: ident.NewOperatorID(), Name: "Ada", Role: "author"}},
		audit.Event{Type: audit.OperatorRevoked, Operator: &audit.OperatorAccount{ID: ident.NewOperatorID()}},
		audit.Event{Type: audit.SigningKeyRemoved, Project: made.ID, SigningKey: ident.NewKeyID()},
	)
	if err := told.Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "login", "login.rego"), []byte("package login\n\nnot rego"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a policy was refused without a security event", func() bool {
		stream, err := js.Stream(t.Context(), bus.AuditStream)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), bus.AuditPrefix+"._.policy-refused")
		return err == nil
	})
}

// declareLabel lets users of a bundle have a label; those of the default bundle may have none.
func declareLabel(t *testing.T, bundle, label string) {
	t.Helper()
	path := filepath.Join(bundle, "data.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	declared := bytes.Replace(data, []byte(`"labels": [],`), []byte(`"labels": ["`+label+`"],`), 1)
	if bytes.Equal(declared, data) {
		t.Fatal("data.json does not say that it declares no labels")
	}
	if err := os.WriteFile(path, declared, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ofPasskey is a security event about a passkey of an operator.
func ofPasskey(kind audit.Type) audit.Event {
	of := audit.OperatorAccount{ID: ident.NewOperatorID(), Name: "Ada", Role: "author"}
	return audit.Event{Type: kind, Operator: &of, Credential: ident.NewCredentialID()}
}
