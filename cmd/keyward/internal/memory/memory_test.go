package memory

import (
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestAProcessTakesWhatIsSetOrWhatItsControlGroupLeavesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set   int64
		all   bool
		files map[string]string
		want  Limits
	}{
		"nothing is known":                    {all: true, want: Limits{Limit: 220 << 20}},
		"nothing is known of some services":   {want: Limits{Limit: 128 << 20}},
		"it is set":                           {set: 1 << 30, all: true, want: Limits{Limit: 1 << 30}},
		"it is set to more than there may be": {set: 1 << 30, files: v2("/", "100000000"), want: Limits{1 << 30, 90_000_000}},
		"the group may take little":           {all: true, files: v2("/", "100000000\n"), want: Limits{75_000_000, 90_000_000}},
		"the group may take much":             {all: true, files: v2("/", "10000000000"), want: Limits{220 << 20, 9_000_000_000}},
		"the group may take all":              {all: true, files: v2("/", "max"), want: Limits{Limit: 220 << 20}},
		"a group around it may take little": {all: true, files: map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "sys/fs/cgroup/a.slice/b.service/memory.max": "max",
			"sys/fs/cgroup/a.slice/memory.max": "100000000",
		}, want: Limits{75_000_000, 90_000_000}},
		"version 1": {all: true, files: map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":  "100000000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":    "9223372036854771712",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us":  "1",
			"sys/fs/cgroup/unified/x/memory.max":            "1",
			"sys/fs/cgroup/memory/y/memory.limit_in_bytes ": "1",
		}, want: Limits{75_000_000, 90_000_000}},
		"version 1 in a container that has its group under another name": {all: true, files: map[string]string{
			"proc/self/cgroup": "4:memory:/docker/x\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "100000000",
		}, want: Limits{75_000_000, 90_000_000}},
		"what cannot be read says nothing": {all: true, files: map[string]string{
			"proc/self/cgroup": "nonsense\n0::/../..\n", "sys/fs/cgroup/memory.max": "-",
		}, want: Limits{Limit: 220 << 20}},
	} {
		machine := fstest.MapFS{}
		for file, text := range c.files {
			machine[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := Choose(c.set, c.all, machine); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func v2(group, text string) map[string]string {
	return map[string]string{"proc/self/cgroup": "0::" + group + "\n", "sys/fs/cgroup" + strings.TrimSuffix(group, "/") + "/memory.max": text}
}

func TestTheLimitGivesWayToWhatIsInUseAndNotToAllThatThereIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		Limits
		use  use
		want int64
	}{
		"little is in use":                   {Limits{200, 900}, use{100, 20}, 200},
		"what is in use leaves no room":      {Limits{200, 900}, use{200, 20}, 320},
		"the limit is above what there is":   {Limits{1000, 900}, use{100, 20}, 1000},
		"there is no room":                   {Limits{200, 900}, use{800, 20}, 900},
		"nobody knows how much there may be": {Limits{200, 0}, use{800, 20}, 1220},
	} {
		if got := c.aim(c.use); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestWhoIsMeasured is this binary as a process of its own, whose runtime is not that of other tests.
func TestWhoIsMeasured(t *testing.T) {
	if os.Getenv("KEYWARD_TEST_MEMORY") == "" {
		t.Skip("the other tests start it")
	}
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	before := debug.SetMemoryLimit(-1)
	stop := Keep(Limits{Limit: 64 << 20}, os.Getenv)
	kept := make([][]byte, 0, 128)
	for range cap(kept) { // twice the limit
		kept = append(kept, make([]byte, 1<<20))
	}
	if deadline := time.Now().Add(time.Minute); os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		for debug.SetMemoryLimit(-1) < int64(len(kept))<<20*(100+room)/100 {
			if kept[0] = make([]byte, 1<<20); time.Now().After(deadline) { // as long as nothing is allocated, nothing is collected
				t.Fatalf("the limit is %d", debug.SetMemoryLimit(-1))
			}
		}
		t.Log("the limit gave way")
	} else if debug.SetMemoryLimit(-1) != before {
		t.Errorf("the limit is %d, and was %d", debug.SetMemoryLimit(-1), before)
	}
	stop()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("afterwards the limit is %d, and was %d", after, before)
	}
	if after := debug.SetGCPercent(percent); after != percent {
		t.Errorf("afterwards it collects at %d %%, and did at %d", after, percent)
	}
	if before != math.MaxInt64 {
		t.Log("the environment's limit was kept")
	}
}

func TestWhatTheEnvironmentSaysIsKept(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"": "the limit gave way", "GOMEMLIMIT=100MiB": "the environment's limit was kept", "GOGC=50": "PASS",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWhoIsMeasured$", "-test.v")
		cmd.Env = append(os.Environ(), "KEYWARD_TEST_MEMORY=1", "GOGC=", "GOMEMLIMIT=", setting)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v\n%s", setting, err, out)
		}
	}
}
