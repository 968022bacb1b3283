package readmodel

import (
	"context"
	"fmt"
	"os"
)

// When the log of changes beside the file has grown to walUsual, what it holds is moved into the file, which waits for the disk and holds nobody up; at walMost, the writer waits
// as well. Bytes.
const (
	walUsual = 4 << 20
	walMost  = 256 << 20
)

func (f *file) walSize() int64 {
	info, err := os.Stat(f.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// checkpoint moves changes into the file whenever it is told that there are some, until told that there will be no more.
func (s *Store) checkpoint(f *file, changed <-chan struct{}) {
	for range changed {
		if f.walSize() < walUsual {
			continue
		}
		if _, err := f.mover.ExecContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
			s.deps.Log.Warn("the read model could not move changes into its file; it will try again", "error", err)
		}
	}
}

// relieve keeps the log from growing without end while readers or writers never rest.
func (f *file) relieve(ctx context.Context) error {
	if f.walSize() < walMost {
		return nil
	}
	if err := f.execute(context.WithoutCancel(ctx), `PRAGMA wal_checkpoint(RESTART)`); err != nil {
		return fmt.Errorf("move changes into the file: %w", err)
	}
	return nil
}
