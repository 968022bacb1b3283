// Command linked prints protos that Keyward's own import, from the descriptors that are linked into their Go packages: linked <directory>.
// It may touch only that directory. So the protos are of the very versions that the product is built with, and no copy of them is kept.
package main

import (
	"fmt"
	"os"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: linked <directory>")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "linked:", err)
		os.Exit(1)
	}
}

func write(directory string) error {
	files := reach(nil, annotations.File_google_api_annotations_proto, validate.File_buf_validate_validate_proto)
	printer := protoprint.Printer{SortElements: true} // by number: the same files, whatever the order of the descriptors
	if err := printer.PrintProtosToFileSystem(files, directory); err != nil {
		return fmt.Errorf("print to %s: %w", directory, err)
	}
	return nil
}

// reach adds files and what they import to found, but for google/protobuf, which every compiler has.
func reach(found []protoreflect.FileDescriptor, files ...protoreflect.FileDescriptor) []protoreflect.FileDescriptor {
	for _, file := range files {
		if strings.HasPrefix(file.Path(), "google/protobuf/") || has(found, file.Path()) {
			continue
		}
		found = append(found, file)
		for i := range file.Imports().Len() {
			found = reach(found, file.Imports().Get(i).FileDescriptor)
		}
	}
	return found
}

func has(found []protoreflect.FileDescriptor, path string) bool {
	for _, file := range found {
		if file.Path() == path {
			return true
		}
	}
	return false
}
