package published_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/published"
)

func TestAListIsReadFromWhereItIsSaidToBe(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/list.json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte("served"))
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from, in string
		want     string
		refused  string // in the complaint; empty = it is read
	}{
		"from standard input":      {from: "-", in: "piped", want: "piped"},
		"from a file":              {from: file, want: "kept"},
		"from a server here":       {from: server.URL + "/list.json", want: "served"},
		"a page that is not there": {from: server.URL + "/gone.json", refused: "404"},
		"plain HTTP from afar":     {from: "http://lists.example/list.json", refused: "https"},
		"a file that is not there": {from: file + "x", refused: "list.jsonx"},
		"one without end":          {from: "-", in: strings.Repeat("x", 16<<20+1), refused: "larger than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := published.Read(t.Context(), c.from, strings.NewReader(c.in))
			if c.refused == "" && (err != nil || string(got) != c.want) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("got %v, want a refusal with %q", err, c.refused)
			}
		})
	}
}
