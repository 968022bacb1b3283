// Command keyward is the one binary: it serves, and it talks to a server that runs.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

// Set by the linker when a version is built.
var (
	version  = ""
	revision = ""
)

// collectAt makes the garbage collector run when the heap has grown by so many per cent. Against Go's 100 it costs about 3 % more CPU under
// load and saves about 24 MiB. The variable GOGC, if set, wins. A server follows its memory limit instead.
const collectAt = 75

func main() {
	keepPrivate()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal drains; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	terminal := command.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Program: program()}
	return cli.Run(ctx, os.Args[1:], terminal, cli.NewBuild(version, revision))
}

// program is the file that runs. On Linux that is so even when another version has taken its place.
func program() string {
	const own = "/proc/self/exe"
	if _, err := os.Stat(own); err == nil {
		return own
	}
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}
