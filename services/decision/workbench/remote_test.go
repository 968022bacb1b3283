package workbench_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/signature/signaturetest"
	"github.com/keyward/keyward/services/decision/internal/tarball"
	"github.com/keyward/keyward/services/decision/workbench"
)

// serving serves what it holds as a bundle.
type serving struct {
	*httptest.Server
	raw atomic.Pointer[[]byte]
}

func serve(t *testing.T, raw []byte) *serving {
	t.Helper()
	s := &serving{}
	s.raw.Store(&raw)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*s.raw.Load()) }))
	t.Cleanup(s.Close)
	return s
}

func packed(t *testing.T, files bundlefile.Files) []byte {
	t.Helper()
	raw, err := tarball.Write(files)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWhatSomebodyServesAnswersIfItIsSignedAndWhatIsNotIsRefused(t *testing.T) {
	t.Parallel()
	ci, stranger := signaturetest.P256(t, "ci"), signaturetest.Ed25519(t, "stranger")
	by := signature.Config{Keys: signaturetest.Directory(t, ci), Required: 1}
	server := serve(t, packed(t, signaturetest.Signed(t, revised(t, "one", nil), ci)))
	b := open(t, workbench.Config{})
	b.live(t, ada, b.push(t, ada, revised(t, "stored", nil)).Number) // which is not what answers here
	from := func(cfg *decision.Config, _ *decision.Deps) {
		cfg.Signatures, cfg.Source.URL, cfg.Source.Poll = by, server.URL+"/bundle.tar.gz", time.Second
	}
	kept := filepath.Join(t.TempDir(), "last.tar.gz")
	running := b.instance(t, func(cfg *decision.Config, deps *decision.Deps) {
		from(cfg, deps)
		cfg.Source.File = kept
	})
	is := func(name string) {
		t.Helper()
		eventually(t, name+" answers", func() bool {
			revision, _ := answers(t, running)
			return revision == name
		})
	}
	is("one")
	eventually(t, "it is told from where", func() bool {
		all := b.status(t).Instances
		return len(all) == 1 && all[0].Source == operator.PolicyInstanceSourceRemote && all[0].Name == "one"
	})
	forged := signaturetest.Signed(t, revised(t, "two", nil), ci)
	forged["login/login.rego"] = append(forged["login/login.rego"], "\n# A remark.\n"...)
	whole := packed(t, signaturetest.Signed(t, revised(t, "two", nil), ci))
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"nothing signed":     {packed(t, revised(t, "two", nil)), "no signature at all"},
		"one by another key": {packed(t, signaturetest.Signed(t, revised(t, "two", nil), stranger)), "by none of them"},
		"one changed after":  {packed(t, forged), "login/login.rego is not what was signed"},
		"half of one":        {whole[:len(whole)/2], "cut short"},
	} {
		server.raw.Store(&c.raw)
		eventually(t, name+" is refused, and that is told", func() bool {
			i := b.status(t).Instances[0]
			return i.Refused != nil && strings.Contains(*i.Refused, c.want)
		})
		is("one")
	}
	ofOPA := built(t, revised(t, "x", nil), ci)
	server.raw.Store(&ofOPA)
	is("built")
	eventually(t, "nothing is refused any more", func() bool { return b.status(t).Instances[0].Refused == nil })

	eventually(t, "the archive has it", func() bool {
		_, err := archive.Open(t.Context(), b.js, running.Status().Content)
		return err == nil
	})

	// Whoever begins while the server is gone goes on with what was good: on disk, or in the archive.
	server.Close()
	for where, file := range map[string]string{"on disk": kept, "in the archive": ""} {
		svc := b.instance(t, func(cfg *decision.Config, deps *decision.Deps) {
			from(cfg, deps)
			cfg.Source.File = file
		})
		if revision, _ := answers(t, svc); revision != "built" || svc.Status().Behind == nil || svc.Status().Refused != nil {
			t.Errorf("what is %s: %s answers; %+v", where, revision, svc.Status())
		}
	}
}
