package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/policies/policiestest"
)

// natsCluster is three servers that keep everything three times.
type natsCluster struct {
	options []*server.Options
	servers []*server.Server
}

func startCluster(t *testing.T) *natsCluster {
	t.Helper()
	const size = 3
	var routes []*url.URL
	for range size {
		routes = append(routes, &url.URL{Scheme: "nats", Host: loopbacktest.Address(t)})
	}
	c := &natsCluster{servers: make([]*server.Server, size)}
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			t.Fatal(err)
		}
		c.options = append(c.options, &server.Options{
			ServerName: "node-" + strconv.Itoa(i), Host: "127.0.0.1", Port: loopbacktest.Port(t),
			JetStream: true, JetStreamMaxStore: 1 << 40, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 4 << 20,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
	}
	for i := range c.servers {
		c.start(t, i)
	}
	for _, s := range c.servers {
		if !s.ReadyForConnections(patience) {
			t.Fatal("a NATS server did not start")
		}
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	return c
}

func (c *natsCluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Fatal(err)
	}
	c.servers[i] = s
	s.Start()
}

func (c *natsCluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

func (c *natsCluster) url() string {
	var all []string
	for _, o := range c.options {
		all = append(all, fmt.Sprintf("nats://%s:%d", o.Host, o.Port))
	}
	return strings.Join(all, ",")
}

// bench is where a policy is changed: an installation, an operator, and the commands that they use.
type bench struct {
	*stack
	desk
	binary string
	nats   *natsCluster // nil = there is the embedded one
	late   func() *app.App
}

// keyward runs a command against the Operator API, and returns what it says.
func (b *bench) keyward(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.binary, append(args, "--operator-url", b.desk.base)...)
	cmd.Env = append(os.Environ(), "KEYWARD_OPERATOR_TOKEN="+b.token)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("keyward %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b *bench) says(t *testing.T, text string, args ...string) {
	t.Helper()
	if out := b.keyward(t, args...); !regexp.MustCompile(text).MatchString(out) {
		t.Errorf("keyward %s does not say %q:\n%s", strings.Join(args, " "), text, out)
	}
}

// benches are one process with the embedded NATS, and two of the decision service and two gateways over a cluster of three with Redis.
func benches(t *testing.T, run func(t *testing.T, b *bench)) {
	binary := build(t)
	t.Run("one process", func(t *testing.T) {
		t.Parallel()
		st := shape{outside: true}.start(t)
		run(t, &bench{stack: st, desk: st.admin(t), binary: binary})
	})
	t.Run("split over a cluster of three", func(t *testing.T) {
		t.Parallel()
		cluster := startCluster(t)
		st := &stack{dataDir: t.TempDir(), redis: startRedis(t), natsURL: cluster.url()}
		begin := func(services ...string) *app.App {
			cfg := settings.DefaultConfig()
			cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.AdminAddr, cfg.NATS.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "off"
			cfg.NATS.DataDir, cfg.NATS.URL, cfg.NATS.Replicas = st.dataDir, settings.Secret(st.natsURL), 3
			cfg.Bootstrap.APISecret, cfg.Redis.URL, cfg.Services = secret1, settings.Secret(st.redis.url()), services
			cfg.Decision.EvalTimeout, cfg.Decision.LookupTimeout, cfg.Decision.CheckTimeout = 15*time.Second, 15*time.Second, 5*patience
			cfg.Calls.Timeout, cfg.HTTP.RequestTimeout = 45*time.Second, time.Minute
			cfg.NATS.PingInterval, cfg.NATS.StartTimeout = patientPing, 5*patience
			a := startAppAt(t, cfg, testLog(t), nil)
			st.apps = append(st.apps, a)
			return a
		}
		begin("ceremony") // which makes the streams
		begin("events")
		begin("decision")
		begin("decision")
		begin("gateway")
		st.gateway = begin("gateway")
		st.client = client{base: "http://" + st.gateway.HTTPAddr(), project: project1, secret: secret1}
		run(t, &bench{
			stack: st, desk: st.admin(t), binary: binary, nats: cluster, late: func() *app.App { return begin("decision") },
		})
	})
}

// bundle is the default one with a figure of its own, without scenarios.
func bundle(t *testing.T, window int) string {
	t.Helper()
	files := policiestest.Files(t)
	for name := range files {
		if strings.HasPrefix(name, "scenarios/") {
			delete(files, name)
		}
	}
	data := string(files["data.json"].Data)
	data = strings.Replace(data, `"countWindowSeconds": 31536000`, fmt.Sprintf(`"countWindowSeconds": %d`, window), 1)
	if window%2 == 1 {
		data = strings.Replace(data, `"allowWebdriver": false`, `"allowWebdriver": true`, 1)
	}
	files["data.json"].Data = []byte(data)
	return policiestest.Dir(t, files)
}

// One change from a directory to a promoted canary and back, by commands and over HTTP.
func TestAPolicyIsChangedTriedAndTakenBackWhateverTheShape(t *testing.T) {
	t.Parallel()
	benches(t, func(t *testing.T, b *bench) {
		decisions := 1
		if b.nats != nil {
			decisions = 2
		}
		ada := b.newPerson(t)
		ada.createPasskey(t)
		robot := mac("")
		robot["webdriver"] = true
		ask := func(p *person) answer {
			t.Helper()
			return b.call(t, "POST", "/v2/passkey/login/start", map[string]any{
				"userID": p.id, "processID": p.nextProcess(), "clientInformation": robot, "crossDeviceAuthenticationStrategy": "standard",
			})
		}
		starts := func(p *person) (number string, tag rest.DecisionTag) {
			t.Helper()
			a := ask(p)
			return a.header.Get("X-Keyward-Policy-Revision"), as[rest.PasskeyLoginStartRsp](t, a).DecisionTag
		}
		answered := func(want rest.DecisionTag) {
			t.Helper()
			for range 6 { // whichever instance is asked
				if _, tag := starts(ada); tag != want {
					t.Errorf("it is answered %s, not %s", tag, want)
				}
			}
		}
		// While NATS elects its leaders nobody's history can be read, and a start is answered by the safe default; a service that was at the
		// server which is gone is not there until it is at another.
		settles := func(want rest.DecisionTag) {
			t.Helper()
			eventually(t, "it is not answered as it was", func() bool {
				a := ask(ada)
				return a.status == http.StatusOK && as[rest.PasskeyLoginStartRsp](t, a).DecisionTag == want
			})
			answered(want)
		}
		const barred, offered = rest.DecisionTagEnvBlacklisted, rest.DecisionTagUserPlatformPkHighConfidence

		b.says(t, `Pushed revision 1`, "policy", "push", bundle(t, 31_536_000), "-m", "As it is")
		b.says(t, `has taken up change 1, by which revision 1 is live: `, "policy", "activate", "1", "--reason", "To begin with", "--wait")
		answered(barred)
		b.says(t, `Pushed revision 2`, "policy", "push", bundle(t, 31_536_001), "-m", "Let automated browsers in")
		b.says(t, `allowWebdriver`, "policy", "diff", "1", "2")

		// It judges beside what is live, and nobody is answered otherwise.
		b.says(t, `change 2, .*revision 2 judges 100 % of decisions beside it`, "policy", "shadow", "begin", "2", "--wait")
		answered(barred)
		eventually(t, "the shadow has not seen the difference", func() bool {
			return regexp.MustCompile(`[1-9]\d* otherwise`).MatchString(b.keyward(t, "policy", "shadow", "show"))
		})
		b.says(t, `The shadow is over`, "policy", "shadow", "end", "--wait")

		// It judges some, the same ones on every instance and whatever happens to the others.
		const leaving = "pro-2"
		begin := []string{"policy", "canary", "begin", "2", "--share", "0%", "--user", ada.id, "--wait"}
		if b.nats != nil {
			addProject(t, b.nats.url(), leaving, strictSecret)
			begin = append(begin, "--project", project1, "--project", leaving)
		}
		b.says(t, `revision 2 judges 0 % of users`, begin...)
		answered(offered)
		other := b.newPerson(t)
		other.createPasskey(t)
		if _, tag := starts(other); tag != barred {
			t.Errorf("who is not of the canary is answered %s", tag)
		}
		b.says(t, `revision 2 judges 50 % of users`, "policy", "canary", "raise", "50%", "--wait")
		if b.nats != nil { // a project of the canary's is deleted: the others have theirs
			if err := projectsAt(t, b.nats.url()).Delete(t.Context(), leaving); err != nil {
				t.Fatal(err)
			}
			answered(offered)
		}
		b.says(t, `is held`, "policy", "canary", "hold", "--wait")
		b.desk.t = t
		b.wants(http.StatusConflict, "POST", "/policy/canary", map[string]any{"step": "promote"})
		b.says(t, `judges 60 % of users`, "policy", "canary", "raise", "60%", "--wait")
		if c := as[api.PolicyCanary](t, b.ask("GET", "/policy/canary", nil)); c.Division.Revision != 2 || c.Division.Share != 0.6 {
			t.Errorf("the canary is %+v", c)
		}
		b.says(t, `Revision 2 is live, and revision 1 no longer`, "policy", "canary", "promote", "--wait")
		answered(offered)

		if b.nats != nil {
			b.withoutAServer(t, settles)
		}
		b.says(t, `Revision 1 is live, and revision 2 no longer`, "policy", "rollback", "--reason", "Enough", "--wait")
		answered(barred)

		// Without a release.
		b.says(t, ``, "switch", "on", "no-logins", "--action", "login", "--reason", "An incident")
		eventually(t, "the switch stops nothing", func() bool {
			_, tag := starts(ada)
			return tag == rest.DecisionTagSwitchedOff
		})
		answered(rest.DecisionTagSwitchedOff)
		b.says(t, ``, "switch", "off", "no-logins")
		eventually(t, "the switch stops it still", func() bool {
			_, tag := starts(ada)
			return tag == barred
		})

		if b.late != nil { // an instance that was not there all the while
			b.late()
			decisions++
			answered(barred)
		}
		var status api.PolicyStatus
		eventually(t, "not every instance answers by what is live", func() bool {
			status = as[api.PolicyStatus](t, b.ask("GET", "/policy/status", nil))
			return len(status.Instances) == decisions && !slices.ContainsFunc(status.Instances, func(i api.PolicyInstance) bool {
				return i.Behind || i.Revision == nil || *i.Revision != 1
			})
		})
		eventually(t, "the decisions are not found", func() bool {
			of := "filter[]=userID:eq:" + ada.id + "&filter[]=arm:eq:" + string(event.Canary)
			return len(as[api.DecisionList](t, b.ask("GET", "/decisions?"+of, nil)).Decisions) >= 6
		})
		eventually(t, "the report does not count them", func() bool {
			report := as[api.AdoptionReport](t, b.ask("GET", "/adoption?by=arm", nil))
			return slices.ContainsFunc(report.Groups, func(g api.AdoptionGroup) bool {
				return g.Of["arm"] == string(event.Canary) && g.Logins.Offered >= 6
			})
		})
		b.says(t, `offered`, "report", "--since", "1h")
		history := b.keyward(t, "policy", "history")
		for _, step := range []string{"activation", "shadow", "canary", "promot", "rollback"} {
			if !strings.Contains(history, step) {
				t.Errorf("the history has no %s:\n%s", step, history)
			}
		}
	})
}

// withoutAServer kills one of the three NATS servers, changes the policy meanwhile, and starts it again: what was live answers on, and the
// change is made or refused in words.
func (b *bench) withoutAServer(t *testing.T, settles func(rest.DecisionTag)) {
	t.Helper()
	killed := slices.IndexFunc(b.nats.servers, func(s *server.Server) bool { return s.JetStreamIsLeader() })
	b.nats.stop(max(killed, 0))
	settles(rest.DecisionTagUserPlatformPkHighConfidence)
	revision := 1
	eventually(t, "no change is made with two of three servers", func() bool {
		b.desk.t = t
		a := b.ask("POST", "/policy/changes", map[string]any{"revision": revision, "reason": "While a server is away"})
		switch a.status {
		case http.StatusOK:
			return true
		case http.StatusServiceUnavailable, http.StatusConflict: // it may have been made
			return as[api.PolicyStatus](t, b.ask("GET", "/policy/status", nil)).Live.Revision == int32(revision)
		default:
			t.Fatalf("the change: %d %s", a.status, a.body)
			return false
		}
	})
	eventually(t, "the change does not reach every instance", func() bool {
		a := b.ask("GET", "/policy/status", nil)
		if a.status != http.StatusOK {
			return false
		}
		status := as[api.PolicyStatus](t, a)
		return !slices.ContainsFunc(status.Instances, func(i api.PolicyInstance) bool { return i.Behind })
	})
	settles(rest.DecisionTagEnvBlacklisted)
	b.nats.start(t, max(killed, 0))
	b.says(t, `Revision 2 is live`, "policy", "activate", "2", "--reason", "All servers are back", "--wait")
	settles(rest.DecisionTagUserPlatformPkHighConfidence)
}
