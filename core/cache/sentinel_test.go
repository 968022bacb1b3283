package cache_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/loopbacktest"
)

func TestAMasterThatDiesIsLeftForTheOneThatTheSentinelNames(t *testing.T) {
	t.Parallel()
	const password = "p1"
	first, second, sentinel := strconv.Itoa(loopbacktest.Port(t)), strconv.Itoa(loopbacktest.Port(t)), strconv.Itoa(loopbacktest.Port(t))
	stop := runRedis(t, first, "", "--requirepass", password, "--masterauth", password)
	runRedis(t, second, "", "--requirepass", password, "--masterauth", password, "--replicaof", "127.0.0.1 "+first)
	runRedis(t, sentinel, fmt.Sprintf("sentinel monitor main 127.0.0.1 %s 1\nsentinel auth-pass main %s\n"+
		"sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", first, password), "--sentinel")

	cfg := cache.DefaultConfig()
	cfg.URL = fmt.Sprintf("redis+sentinel://:%s@127.0.0.1:1,127.0.0.1:%s/main/0", password, sentinel)
	cfg.Timeout = 5 * time.Second
	c, err := cache.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	// A replica that has not followed yet cannot become the master.
	eventually(t, "the replica follows", func() bool {
		n, err := c.Client.(*redis.Client).Wait(t.Context(), 1, time.Second).Result()
		return err == nil && n == 1 && c.Writable(t.Context()) == nil
	})
	watch := redis.NewSentinelClient(&redis.Options{Addr: "127.0.0.1:" + sentinel})
	t.Cleanup(func() { _ = watch.Close() })
	eventually(t, "the sentinel knows the replica", func() bool {
		known, err := watch.Replicas(t.Context(), "main").Result()
		return err == nil && len(known) == 1
	})
	stop()
	eventually(t, "the other one is written", func() bool { return c.Writable(t.Context()) == nil })
	if run := c.Client.Info(t.Context(), "server").Val(); run == "" {
		t.Error("the new master does not say which run it is")
	}
}

func TestAURLOfSeveralHostsIsReadWhole(t *testing.T) {
	t.Parallel()
	for url, fine := range map[string]bool{
		"redis+sentinel://a,b:26380,[::1]:26379/main": true,
		"rediss+sentinel://user:pa%40ss@a/main/3":     true,
		"redis+sentinel://a/main?sentinel_password=x": true,
		"redis+sentinel://a":                          false,
		"redis+sentinel:///main":                      false,
		"redis+sentinel://a/main/first":               false,
		"redis+cluster://user:pa%40ss@a,b:7000,[::1]": true,
		"rediss+cluster://a/":                         true,
		"redis+cluster://a/1":                         false,
		"redis+cluster://":                            false,
	} {
		c, err := cache.Open(cache.Config{URL: url, Timeout: time.Second})
		if (err == nil) != fine {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

func runRedis(t *testing.T, port, config string, args ...string) (stop func()) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is not installed (make test installs it): %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "redis.conf")
	config += "bind 127.0.0.1\nport " + port + "\ndir " + dir + "\nlogfile " + filepath.Join(dir, "log") + "\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{file}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.After(time.Minute); !holds(); {
		select {
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
