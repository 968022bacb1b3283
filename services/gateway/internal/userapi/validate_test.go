package userapi

import (
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What a proto says and nobody checks would be a promise broken in silence.
func TestARuleThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	field := func(of *validate.FieldRules) *descriptorpb.DescriptorProto {
		options := &descriptorpb.FieldOptions{}
		proto.SetExtension(options, validate.E_Field, of)
		return &descriptorpb.DescriptorProto{Name: proto.String("Asked"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("name"), Number: proto.Int32(1), Options: options,
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}
	}
	ofString := func(of validate.StringRules_builder) *descriptorpb.DescriptorProto {
		return field(validate.FieldRules_builder{String: of.Build()}.Build())
	}
	whole := field(&validate.FieldRules{})
	whole.Options = &descriptorpb.MessageOptions{}
	proto.SetExtension(whole.Options, validate.E_Message, &validate.MessageRules{CelExpression: []string{"true"}})
	for name, c := range map[string]struct {
		message *descriptorpb.DescriptorProto
		refused string
	}{
		"none":        {message: field(&validate.FieldRules{})},
		"lengths":     {message: ofString(validate.StringRules_builder{MinLen: proto.Uint64(1), MaxLen: proto.Uint64(2)})},
		"required":    {message: field(validate.FieldRules_builder{Required: proto.Bool(true)}.Build())},
		"pattern":     {message: ofString(validate.StringRules_builder{Pattern: proto.String("a+")}), refused: "Asked.name"},
		"exact":       {message: ofString(validate.StringRules_builder{Len: proto.Uint64(3)}), refused: "Asked.name"},
		"ignored":     {message: field(validate.FieldRules_builder{Ignore: validate.Ignore_IGNORE_ALWAYS.Enum()}.Build()), refused: "Asked.name"},
		"expression":  {message: field(validate.FieldRules_builder{CelExpression: []string{"true"}}.Build()), refused: "Asked.name"},
		"of messages": {message: whole, refused: "Asked"},
	} {
		file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
			Name: proto.String(name + ".proto"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{c.message},
		}, protoregistry.GlobalFiles)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rulesOf(file.Messages().Get(0))
		if refused := err != nil; refused != (c.refused != "") || refused && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
