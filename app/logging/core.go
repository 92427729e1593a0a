package logging

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// core redacts every message and field of all loggers:
//
//   - Fields with names of secrets are masked.
//   - Texts pass Redact, and known secret values are masked.
//   - Of structs only the type is written. Lists and maps of plain values are written, and what implements zap's interfaces.
type core struct {
	zapcore.Core
	hidden Hidden
}

// withRedaction returns the option that wraps a logger's core. The values are masked wherever they occur.
func withRedaction(values []string) zap.Option {
	return zap.WrapCore(func(inner zapcore.Core) zapcore.Core {
		return &core{Core: inner, hidden: Hide(values...)}
	})
}

// hiddenValues is the value of the field that Hiding returns.
type hiddenValues []string

// Hiding returns a field that writes nothing: a logger with it masks the values in every text.
func Hiding(values ...string) zap.Field {
	return zap.Field{Type: zapcore.SkipType, Interface: hiddenValues(values)}
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	made := &core{hidden: c.hidden}
	for _, f := range fields {
		if values, ok := f.Interface.(hiddenValues); ok && len(values) > 0 {
			made.hidden = made.hidden.and(values)
		}
	}
	made.Core = c.Core.With(made.clean(fields))
	return made
}

// Check implements zapcore.Core.
func (c *core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write implements zapcore.Core.
func (c *core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	entry.Message = c.text(entry.Message)
	return c.Core.Write(entry, c.clean(fields))
}

func (c *core) text(text string) string { return c.hidden.Text(text) }

// clean returns the redacted fields. It copies them only if one has to be changed.
func (c *core) clean(fields []zapcore.Field) []zapcore.Field {
	copied := false
	for i, f := range fields {
		cleaned, changed := c.field(f)
		if !changed {
			continue
		}
		if !copied {
			fields, copied = slices.Clone(fields), true
		}
		fields[i] = cleaned
	}
	return fields
}

func (c *core) field(f zapcore.Field) (cleaned zapcore.Field, changed bool) {
	if secretName(f.Key) && f.Type != zapcore.SkipType && f.Type != zapcore.NamespaceType {
		return zap.String(f.Key, mask), true
	}
	switch f.Type {
	case zapcore.StringType:
		text := c.text(f.String)
		return zap.String(f.Key, text), text != f.String
	case zapcore.BoolType, zapcore.DurationType, zapcore.Float64Type, zapcore.Float32Type, zapcore.Int64Type, zapcore.Int32Type,
		zapcore.Int16Type, zapcore.Int8Type, zapcore.TimeType, zapcore.TimeFullType, zapcore.Uint64Type, zapcore.Uint32Type,
		zapcore.Uint16Type, zapcore.Uint8Type, zapcore.UintptrType, zapcore.Complex128Type, zapcore.Complex64Type,
		zapcore.NamespaceType, zapcore.SkipType:
		return f, false
	case zapcore.BinaryType:
		return zap.String(f.Key, mask), true
	case zapcore.ByteStringType:
		bytes, _ := f.Interface.([]byte)
		return zap.String(f.Key, c.text(string(bytes))), true
	case zapcore.ErrorType, zapcore.StringerType:
		return zap.String(f.Key, c.text(textOf(f.Interface))), true
	default:
		return c.structure(f), true
	}
}

// textOf returns the text of an error or a Stringer; its type if that panics, as with nil pointers.
func textOf(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(%T)", value)
		}
	}()
	switch v := value.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprintf("(%T)", value)
}

// structure encodes a field by zap's interfaces into a map and redacts that.
func (c *core) structure(f zapcore.Field) zapcore.Field {
	fields := zapcore.NewMapObjectEncoder()
	f.AddTo(fields)
	if f.Type == zapcore.InlineMarshalerType {
		return zap.Inline(plain(c.members(fields.Fields)))
	}
	return zap.Any(f.Key, c.value(fields.Fields[f.Key]))
}

// value returns the redacted form of a value.
func (c *core) value(value any) any {
	switch v := value.(type) {
	case nil, bool, time.Time, time.Duration:
		return v
	case string:
		return c.text(v)
	case []byte:
		return mask
	case map[string]any:
		return c.members(v)
	case error, fmt.Stringer:
		return c.text(textOf(v))
	}
	kind := reflect.ValueOf(value)
	switch {
	case kind.CanInt(), kind.CanUint(), kind.CanFloat():
		return value
	case kind.Kind() == reflect.String:
		return c.text(kind.String())
	case kind.Kind() == reflect.Slice || kind.Kind() == reflect.Array:
		list := make([]any, kind.Len())
		for i := range list {
			list[i] = c.value(kind.Index(i).Interface())
		}
		return list
	}
	return fmt.Sprintf("(%T)", value)
}

func (c *core) members(members map[string]any) map[string]any {
	cleaned := make(map[string]any, len(members))
	for name, value := range members {
		if secretName(name) {
			value = mask
		}
		cleaned[c.text(name)] = c.value(value)
	}
	return cleaned
}

// plain encodes its members inline.
type plain map[string]any

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (p plain) MarshalLogObject(to zapcore.ObjectEncoder) error {
	for name, value := range p {
		zap.Any(name, value).AddTo(to)
	}
	return nil
}
