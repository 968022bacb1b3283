package test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
	"github.com/keyward/keyward/core/project"
	attested "github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

const (
	vouched       = "pro-3"
	vouchedSecret = "corbado1_e2eSecretOfProjectThree00000003"
	vouchedModel  = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
)

var vouchedBytes = [16]byte{0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2a}

// certifier is a metadata service of the test's own, and a maker of keys that it knows.
type certifier struct {
	service *metadatatest.Service
	maker   *attested.Maker
	blob    string // file
	root    string // file
}

func newCertifier(t *testing.T) *certifier {
	t.Helper()
	dir := t.TempDir()
	c := &certifier{
		service: metadatatest.New(t, metadata.Name, time.Now()), maker: attested.NewMaker(t, vouchedBytes, time.Now()),
		blob: filepath.Join(dir, "blob.jwt"), root: filepath.Join(dir, "root.pem"),
	}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.service.Root.Raw})
	if err := os.WriteFile(c.root, root, 0o600); err != nil {
		t.Fatal(err)
	}
	c.says(t, 1, "FIDO_CERTIFIED_L2")
	return c
}

// says has the metadata of a number say so of the maker's keys.
func (c *certifier) says(t *testing.T, number int, reports ...any) {
	t.Helper()
	entry := metadatatest.Model(vouchedModel, []metadatatest.Certificate{{Certificate: c.maker.Root.Certificate}}, reports...)
	blob := c.service.Blob(t, number, time.Now().Add(30*24*time.Hour), entry)
	if err := os.WriteFile(c.blob, blob, 0o600); err != nil {
		t.Fatal(err)
	}
}

// askForAttestation has a project ask for it.
func askForAttestation(t *testing.T, natsURL string, id ident.ProjectID) {
	t.Helper()
	if err := projectsAt(t, natsURL).Change(t.Context(), id, func(p *project.Project) error {
		p.Attestation.Conveyance = project.ConveyDirect
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// vouchFor makes a passkey on a key of the maker's, which says so.
func (c *certifier) vouchFor(t *testing.T, a caller) {
	t.Helper()
	process := a.nextProcess()
	start := a.askForAppend(t, process, a.body(process)["clientInformation"].(map[string]any))
	if !strings.Contains(start.AttestationOptions, `"attestation":"direct"`) {
		t.Fatalf("nobody asks: %s", start.AttestationOptions)
	}
	response, err := a.device.Create(start.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	body := a.body(process)
	body["attestationResponse"] = c.maker.Attest(t, response)
	as[rest.PasskeyAppendFinishRsp](t, a.call(t, http.MethodPost, "/v2/passkey/append/finish", body))
}

func TestAnAdministratorNeedsAKeyThatItsMakerVouchesForAndThatIsNotRevoked(t *testing.T) {
	t.Parallel()
	c, clock := newCertifier(t), &movingClock{}
	bundle := bundleWith(t, map[string]any{vouched: map[string]any{"parameters": map[string]any{
		"labels": []string{"admin"}, "risk": map[string]any{"mode": "enforce", "requireAal": map[string]any{"admin": 3}},
	}}})
	st := shape{name: "one process"}.startAt(t, clock.now, func(cfg *settings.Config) {
		cfg.Decision.PoliciesDir, cfg.NATS.Addr = bundle, "127.0.0.1:0"
		cfg.Decision.Metadata.Source, cfg.Decision.Metadata.Root = c.blob, c.root
	})
	countsWhole(t, st, clock)
	addProject(t, st.natsAddress(t), vouched, vouchedSecret)
	askForAttestation(t, st.natsAddress(t), vouched)
	s := scene{client{st.base, vouched, vouchedSecret}, clock}
	eventually(t, "the new project is not let in", func() bool {
		a, err := s.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})
	phone := s.settled(t, berlin, authenticator.Phone())
	as[rest.UserLabels](t, phone.call(t, http.MethodPut, "/v2/users/"+phone.id+"/labels", map[string]any{"labels": []string{"admin"}}))

	device := authenticator.SecurityKey()
	device.AAGUID = vouchedBytes
	key := caller{person: phone.elsewhere(device), address: berlin}
	key.handle = phone.handle
	c.vouchFor(t, key)
	s.clock.goOn(2 * time.Hour)

	withheld := phone.login(t)
	judgedAs(t, withheld, `challenge;level=high;enforced=?1;reasons="assurance-low"`)
	refused(t, withheld, rest.ErrorTypeStepUpRequired)
	if told := withheld.header.Get("X-Keyward-Step-Up"); !strings.HasSuffix(told, `;methods="security-key"`) {
		t.Errorf("the methods are %s", told)
	}
	let := key.login(t)
	judgedAs(t, let, `allow;level=low;enforced=?1;reasons=""`)
	as[rest.PasskeyLoginFinishRsp](t, let)

	named := base64.RawURLEncoding.EncodeToString(device.Passkeys[0].Credential.ID)
	options, process := key.options(t, key.start(t)), key.process
	if !strings.Contains(options, named) {
		t.Fatalf("the key is not named: %s", options)
	}
	c.says(t, 2, "FIDO_CERTIFIED_L2", "REVOKED")
	eventually(t, "the key is still named", func() bool { return !strings.Contains(key.options(t, key.start(t)), named) })
	key.process = process
	barred := key.finish(t, options)
	refused(t, barred, rest.ErrorTypeRiskDenied)
	judgedAs(t, barred, `deny;level=high;enforced=?1;reasons="assurance-low revoked-authenticator"`)

	said := func() (n int) {
		for _, key := range st.bucketKeys(t, bus.AttestationsBucket) {
			if strings.Contains(key, phone.id) {
				n++
			}
		}
		return n
	}
	if said() == 0 {
		t.Error("what the key said of itself is not kept")
	}
	as[rest.GenericRsp](t, phone.call(t, http.MethodDelete, "/v2/users/"+phone.id, nil))
	eventually(t, "what the key of an erased user said of itself is left", func() bool { return said() == 0 })
}

// bucketKeys returns the keys of a bucket.
func (s *stack) bucketKeys(t *testing.T, bucket string) []string {
	t.Helper()
	kv, err := s.jetStream(t).KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		t.Fatal(err)
	}
	return keys
}
