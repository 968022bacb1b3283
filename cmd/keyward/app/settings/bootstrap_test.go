package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
)

func TestASettingOfTheFirstProjectThatCannotWorkIsNamedWithItsRule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*settings.Bootstrap)
		want   string
	}{
		"a project ID of another form": {func(b *settings.Bootstrap) { b.ProjectID = "shop" }, "bootstrap_project_id: "},
		"a secret without its beginning": {
			func(b *settings.Bootstrap) { b.APISecret = "hunter2" }, "bootstrap_api_secret: must start with corbado1_",
		},
		"a secret of one character": {
			func(b *settings.Bootstrap) { b.APISecret = "corbado1_x" }, "bootstrap_api_secret: must have at least 15",
		},
		"a public suffix as RP ID": {
			func(b *settings.Bootstrap) { b.RPID = "co.uk" }, "bootstrap_rp_id: co.uk: must not be a public suffix",
		},
		"the Unicode form of an RP ID": {func(b *settings.Bootstrap) { b.RPID = "bücher.example" }, "use xn--bcher-kva.example"},
		"an origin outside the RP ID": {
			func(b *settings.Bootstrap) { b.RPID = "example.com" },
			"bootstrap_origins: http://localhost:8080: must be on the RP ID",
		},
		"an origin with a path": {func(b *settings.Bootstrap) { b.Origins = []string{"http://localhost/x"} }, "bootstrap_origins: "},
		"a related origin of the RP ID": {
			func(b *settings.Bootstrap) { b.Related = []string{"https://a.example"} }, "bootstrap_related_origins: ",
		},
		"no origin": {func(b *settings.Bootstrap) { b.Origins = nil }, "bootstrap_origins: cannot be blank"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := settings.DefaultConfig().Bootstrap
			c.change(&b)
			_, err := b.Project(time.UnixMilli(1))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
