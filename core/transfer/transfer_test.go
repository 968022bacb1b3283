package transfer_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/transfer"
)

const nowMs = 1_790_000_000_000

func TestALineIsOneRecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, wrong string }{
		{"a user", `{"user":{"status":"active","identifiers":[{"type":"email","value":"a@example.com","status":"primary"}]}}`, ""},
		{"an event", `{"event":{"id":"pke-1","user":"usr-1","type":"login-error","createdMs":1790000000000}}`, ""},
		{"what an export adds for one user", `{"decision":{"any":"thing"}}`, ""},
		{"nothing", "  ", "is empty"},
		{"no JSON", `{"user":`, "is no JSON at byte"},
		{"an array", `[]`, "is no record"},
		{"neither user nor event", `{}`, "must have one member"},
		{"two things at once", `{"user":{"status":"active"},"event":{"id":"pke-1"}}`, "must have one member"},
		{"a misspelt member", `{"user":{"status":"active","fulName":"Ada"}}`, "user.fulName: is no member"},
		{"a member twice", `{"user":{"status":"active","status":"pending"}}`, "duplicate"},
		{"a number for a text", `{"user":{"status":1}}`, "user.status"},
		{"what is no base64url", `{"user":{"status":"active","userHandle":"%%%"}}`, "user.userHandle: must be base64url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := transfer.Parse([]byte(c.line))
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("got %v, want %q", err, c.wrong)
			}
		})
	}
}

func TestBinaryDataIsTakenInEveryBase64(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-_8", "+/8", "+/8=", "-_8="} {
		r, err := transfer.Parse([]byte(`{"user":{"status":"active","userHandle":"` + text + `"}}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(transfer.Bytes{0xfb, 0xff}, r.User.UserHandle); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// good returns a record with a bit of everything.
func good() transfer.User {
	name := "Ada"
	return transfer.User{
		FullName:   &name,
		Status:     account.StatusActive,
		UserHandle: []byte("handle"),
		Identifiers: []transfer.Identifier{
			{Type: account.IdentifierTypeEmail, Value: "Ada@example.com", Status: account.IdentifierStatusPrimary},
		},
		SocialAccounts: []transfer.SocialAccount{{Provider: account.SocialProviderGithub, ForeignID: "7"}},
		Credentials: []transfer.Credential{
			{CredentialID: []byte{1}, PublicKey: []byte{2}, AAGUID: "EA9B8D66-4D01-1D21-3CE4-B6B48CB575D4", BackupEligible: true},
		},
		Environments: []transfer.Environment{{ID: "env-1", OSName: "iOS"}},
		Labels:       []string{"admin"},
	}
}

func TestEveryFaultOfARecordIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*transfer.User)
		field  string
	}{
		{"a good record", func(*transfer.User) {}, ""},
		{"no status", func(u *transfer.User) { u.Status = "" }, "status"},
		{"a label of another form", func(u *transfer.User) { u.Labels = []string{"admin", "Über"} }, "labels.1"},
		{"more labels than one may have", func(u *transfer.User) { u.Labels = make([]string, 17) }, "labels"},
		{"a user ID of another form", func(u *transfer.User) { u.ID = "42" }, "userID"},
		{"nobody to name", func(u *transfer.User) { *u = transfer.User{Status: account.StatusActive} }, "userID"},
		{"a passkey without user handle", func(u *transfer.User) { u.UserHandle = nil }, "userHandle"},
		{"a handle of 65 bytes", func(u *transfer.User) { u.UserHandle = make([]byte, 65) }, "userHandle"},
		{"a name of 256 characters", func(u *transfer.User) { long := strings.Repeat("é", 256); u.FullName = &long }, "fullName"},
		{"seconds for milliseconds", func(u *transfer.User) { u.CreatedMs = 1_790_000_000 }, "createdMs"},
		{"what is no address", func(u *transfer.User) { u.Identifiers[0].Value = "nobody" }, "identifiers.0.value"},
		{"a blank identifier", func(u *transfer.User) { u.Identifiers[0].Value = "" }, "identifiers.0.value"},
		{"an identifier twice", func(u *transfer.User) {
			u.Identifiers = append(
				u.Identifiers,
				transfer.Identifier{Type: account.IdentifierTypeEmail, Value: "ADA@example.com", Status: account.IdentifierStatusVerified},
			)
		}, "identifiers.1.value"},
		{"two primary ones of a type", func(u *transfer.User) {
			u.Identifiers = append(
				u.Identifiers,
				transfer.Identifier{Type: account.IdentifierTypeEmail, Value: "b@example.com", Status: account.IdentifierStatusPrimary},
			)
		}, "identifiers.1.status"},
		{"a provider that there is not", func(u *transfer.User) { u.SocialAccounts[0].Provider = "myspace" }, "socialAccounts.0.providerType"},
		{"no credential ID", func(u *transfer.User) { u.Credentials[0].CredentialID = nil }, "credentials.0.credentialID"},
		{
			"a credential ID of 1024 bytes", func(u *transfer.User) { u.Credentials[0].CredentialID = make([]byte, 1024) },
			"credentials.0.credentialID",
		},
		{"a credential twice", func(u *transfer.User) { u.Credentials = append(u.Credentials, u.Credentials[0]) }, "credentials.1.credentialID"},
		{"no public key", func(u *transfer.User) { u.Credentials[0].PublicKey = nil }, "credentials.0.publicKey"},
		{"another relying party", func(u *transfer.User) { u.Credentials[0].RPID = "example.org" }, "credentials.0.rpID"},
		{
			"backed up and not eligible",
			func(u *transfer.User) { u.Credentials[0].BackupEligible, u.Credentials[0].BackupState = false, true },
			"credentials.0.backupState",
		},
		{
			"a transport that there is not", func(u *transfer.User) { u.Credentials[0].Transports = []string{"pigeon"} },
			"credentials.0.transports.0",
		},
		{"an AAGUID of another form", func(u *transfer.User) { u.Credentials[0].AAGUID = "0" }, "credentials.0.aaguid"},
		{"an environment of another form", func(u *transfer.User) { u.Environments[0].ID = "x" }, "clientEnvs.0.id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := good()
			c.change(&u)
			_, faults := u.Account("pro-1", "example.com", nowMs)
			if c.field == "" {
				if len(faults) > 0 {
					t.Errorf("got %v", faults)
				}
				return
			}
			if len(faults) != 1 || faults[0].Field != c.field {
				t.Errorf("got %v, want one fault of %s", faults, c.field)
			}
		})
	}
}

func TestARecordWithoutIDsAlwaysMakesTheSameAccount(t *testing.T) {
	t.Parallel()
	first, faults := good().Account("pro-1", "example.com", nowMs)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	second, _ := good().Account("pro-1", "example.com", nowMs)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	elsewhere, _ := good().Account("pro-2", "example.com", nowMs)
	if elsewhere.ID == first.ID {
		t.Error("two projects have a user of one ID")
	}
}

func TestWhatIsExportedIsImportedAsItWas(t *testing.T) {
	t.Parallel()
	want, faults := good().Account("pro-1", "example.com", nowMs)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want.Deleted = []account.Tombstone{{ID: "cre-9", CredentialID: []byte{9}, DeletedMs: nowMs}}
	explicit := string(want.UserHandle)
	want.ExplicitWebauthnID, want.Unverified = &explicit, true
	user := transfer.Of(want)
	line, err := transfer.Format(transfer.Record{User: &user})
	if err != nil {
		t.Fatal(err)
	}
	read, err := transfer.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	got, faults := read.User.Account("pro-1", "example.com", nowMs+1)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// Its challenge stays where it was given out, and it has no WebAuthn credential ID that anybody could use.
func TestACreationThatWasGivenUpIsNotExported(t *testing.T) {
	t.Parallel()
	gone := account.Tombstone{ID: "cre-9", CredentialID: []byte{9}, DeletedMs: nowMs}
	user := transfer.Of(account.Account{Deleted: []account.Tombstone{{ID: "cre-8", DeletedMs: nowMs}, gone}})
	if want := []transfer.Tombstone{{ID: "cre-9", CredentialID: []byte{9}, DeletedMs: nowMs}}; !cmp.Equal(want, user.Deleted) {
		t.Errorf("exported: %+v", user.Deleted)
	}
}

func TestASignUpThatWaitsGivesWayAfterItsImport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  account.Status
		givesUp bool
	}{
		"a user who waits":     {account.StatusPending, true},
		"a user who is active": {account.StatusActive, false},
	} {
		user := good()
		user.Status, user.Unverified = c.status, true
		a, faults := user.Account("pro-1", "example.com", nowMs)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if hold := account.SignUpHold.Milliseconds(); a.GivenUp(nowMs+hold-1) || a.GivenUp(nowMs+hold) != c.givesUp {
			t.Errorf("%s: kept until %d", name, a.SignUpUntilMs)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"user":{"status":"active","userHandle":"AA","credentials":[{"credentialID":"AQ","publicKey":"Ag"}]}}`))
	f.Add([]byte(`{"event":{"id":"pke-1","user":"usr-1","type":"login-error","createdMs":1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := transfer.Parse(line)
		if err != nil || r.User == nil {
			return
		}
		a, faults := r.User.Account("pro-1", "example.com", nowMs)
		if len(faults) > 0 {
			return
		}
		again := transfer.Of(a)
		b, faults := again.Account("pro-1", "example.com", nowMs)
		if len(faults) > 0 {
			t.Fatalf("what was exported is refused: %v", faults)
		}
		if diff := cmp.Diff(a, b, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWhatAnAuthenticatorSaidOfItselfMovesWithThePasskey(t *testing.T) {
	t.Parallel()
	hash := bytes.Repeat([]byte{7}, 32)
	said := &account.Attestation{Format: "packed", Trust: account.TrustVerified, Certificates: [][]byte{hash}}
	out := transfer.Of(account.Account{
		ID: "usr-1", Status: account.StatusActive, UserHandle: []byte("ada"),
		Credentials: []account.Credential{{ID: "cre-1", CredentialID: []byte{1}, PublicKey: []byte{2}, Attestation: said}},
	})
	in, faults := out.Account("pro-1", "example.com", 1_700_000_000_000)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(said, in.Credentials[0].Attestation); diff != "" {
		t.Error(diff)
	}
	out.Credentials[0].Attestation.Object, out.Credentials[0].Attestation.ClientDataHash = []byte{3}, hash
	if in, faults = out.Account("pro-1", "example.com", 1_700_000_000_000); len(faults) > 0 || !in.Credentials[0].Attestation.Kept {
		t.Errorf("with its statement: %v", faults)
	}
	for field, change := range map[string]func(*transfer.Attestation){
		"format":         func(a *transfer.Attestation) { a.Format = "" },
		"trust":          func(a *transfer.Attestation) { a.Trust = "some" },
		"step":           func(a *transfer.Attestation) { a.Step = strings.Repeat("a", 33) },
		"certificates":   func(a *transfer.Attestation) { a.Certificates = slices.Repeat([]transfer.Bytes{hash}, 11) },
		"certificates.0": func(a *transfer.Attestation) { a.Certificates = []transfer.Bytes{{1}} },
		"clientDataHash": func(a *transfer.Attestation) { a.ClientDataHash = nil },
		"object":         func(a *transfer.Attestation) { a.Object = make([]byte, 9000) },
	} {
		changed := *out.Credentials[0].Attestation
		change(&changed)
		bad := out
		bad.Credentials = slices.Clone(out.Credentials)
		bad.Credentials[0].Attestation = &changed
		if _, faults := bad.Account("pro-1", "example.com", 1); len(faults) != 1 || faults[0].Field != "credentials.0.attestation."+field {
			t.Errorf("%s: %v", field, faults)
		}
	}
}
