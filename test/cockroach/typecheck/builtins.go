package typecheck

import (
	"strings"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// functions are the built-in ones that statements use, with the signatures that CockroachDB documents.
type functions map[string]*tree.ResolvedFunctionDefinition

func (f functions) find(name string) (*tree.ResolvedFunctionDefinition, bool) {
	known, ok := f[strings.TrimPrefix(strings.ToLower(name), "pg_catalog.")]
	return known, ok
}

func (f functions) add(class tree.FunctionClass, name string, returns tree.ReturnTyper, params tree.TypeList) {
	f.with(name, &tree.Overload{Class: class, Types: params, ReturnType: returns, Type: tree.BuiltinRoutine})
}

func (f functions) with(name string, o *tree.Overload) {
	known, ok := f[name]
	if !ok {
		known = &tree.ResolvedFunctionDefinition{Name: name}
		f[name] = known
	}
	known.Overloads = append(known.Overloads, tree.MakeQualifiedOverload("pg_catalog", o))
}

// plain adds a function of fixed types.
func (f functions) plain(name string, returns *types.T, params ...*types.T) {
	f.add(tree.NormalClass, name, tree.FixedReturnType(returns), list(params))
}

func (f functions) aggregate(name string, returns *types.T, params ...*types.T) {
	f.add(tree.AggregateClass, name, tree.FixedReturnType(returns), list(params))
}

func list(params []*types.T) tree.ParamTypes {
	out := make(tree.ParamTypes, len(params))
	for i, p := range params {
		out[i] = tree.ParamType{Name: "arg", Typ: p}
	}
	return out
}

func newFunctions() functions {
	f := functions{}
	f.texts()
	f.numbers()
	f.times()
	f.system()
	f.sets()
	return f
}

func (f functions) texts() {
	for _, t := range []*types.T{types.String, types.Bytes, types.VarBit} {
		f.plain("length", types.Int, t)
		f.plain("octet_length", types.Int, t)
	}
	for _, name := range []string{"lower", "upper", "btrim", "ltrim", "rtrim", "md5", "reverse", "initcap", "quote_ident",
		"quote_literal"} {
		f.plain(name, types.String, types.String)
	}
	for _, name := range []string{"substr", "substring"} {
		f.plain(name, types.String, types.String, types.Int)
		f.plain(name, types.String, types.String, types.Int, types.Int)
	}
	f.plain("left", types.String, types.String, types.Int)
	f.plain("right", types.String, types.String, types.Int)
	f.plain("repeat", types.String, types.String, types.Int)
	f.plain("strpos", types.Int, types.String, types.String)
	f.plain("starts_with", types.Bool, types.String, types.String)
	f.plain("replace", types.String, types.String, types.String, types.String)
	f.plain("split_part", types.String, types.String, types.String, types.Int)
	f.plain("regexp_replace", types.String, types.String, types.String, types.String)
	f.plain("lpad", types.String, types.String, types.Int, types.String)
	f.plain("encode", types.String, types.Bytes, types.String)
	f.plain("decode", types.Bytes, types.String, types.String)
	f.plain("gen_random_uuid", types.Uuid)
	f.add(tree.NormalClass, "concat", tree.FixedReturnType(types.String), tree.VariadicType{VarType: types.AnyElement})
	f.with("string_agg", &tree.Overload{Class: tree.AggregateClass, Types: list([]*types.T{types.String, types.String}),
		ReturnType: tree.FixedReturnType(types.String), CalledOnNullInput: true})
}

func (f functions) numbers() {
	for _, t := range []*types.T{types.Float, types.Decimal} {
		for _, name := range []string{"floor", "ceil", "ceiling", "round", "sqrt", "exp", "ln"} {
			f.plain(name, t, t)
		}
	}
	f.plain("floor", types.Float, types.Int)
	f.plain("ceil", types.Float, types.Int)
	for _, t := range []*types.T{types.Float, types.Decimal, types.Int} {
		f.plain("abs", t, t)
		f.plain("power", t, t, t)
		f.plain("mod", t, t, t)
	}
	f.plain("random", types.Float)
	for _, name := range []string{"greatest", "least"} {
		f.add(tree.NormalClass, name, tree.FirstNonNullReturnType(), tree.HomogeneousType{})
	}
	f.aggregate("sum", types.Decimal, types.Int)
	f.aggregate("avg", types.Decimal, types.Int)
	for _, name := range []string{"sum", "avg"} {
		f.aggregate(name, types.Float, types.Float)
		f.aggregate(name, types.Decimal, types.Decimal)
		f.aggregate(name, types.Interval, types.Interval)
	}
}

func (f functions) times() {
	for _, name := range []string{"now", "current_timestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp",
		"localtimestamp"} {
		zone := tree.OverloadPreferencePreferred
		local := tree.OverloadPreferenceNone
		if name == "localtimestamp" {
			zone, local = local, zone
		}
		f.with(name, &tree.Overload{Types: tree.ParamTypes{}, ReturnType: tree.FixedReturnType(types.TimestampTZ),
			OverloadPreference: zone})
		f.with(name, &tree.Overload{Types: tree.ParamTypes{}, ReturnType: tree.FixedReturnType(types.Timestamp),
			OverloadPreference: local})
	}
	for _, t := range []*types.T{types.Timestamp, types.TimestampTZ, types.Interval, types.Date, types.Time} {
		f.plain("extract", types.Float, types.String, t)
		f.plain("date_part", types.Float, types.String, t)
	}
	f.plain("date_trunc", types.Timestamp, types.String, types.Timestamp)
	f.plain("date_trunc", types.TimestampTZ, types.String, types.TimestampTZ)
	f.plain("date_trunc", types.TimestampTZ, types.String, types.Date)
	f.plain("to_timestamp", types.TimestampTZ, types.Float)
	f.plain("timezone", types.Timestamp, types.String, types.TimestampTZ)
	f.plain("timezone", types.TimestampTZ, types.String, types.Timestamp)
	f.plain("to_char", types.String, types.Timestamp, types.String)
	f.plain("to_char", types.String, types.Interval, types.String)
	f.plain("pg_sleep", types.Bool, types.Float)
}

func (f functions) system() {
	for _, name := range []string{"version", "current_database", "current_schema", "current_user", "session_user"} {
		f.plain(name, types.Name)
	}
	f["version"].Overloads[0].ReturnType = tree.FixedReturnType(types.String)
	f.plain("set_config", types.String, types.String, types.String, types.Bool)
	f.plain("current_setting", types.String, types.String)
	f.plain("current_setting", types.String, types.String, types.Bool)
	f.plain("obj_description", types.String, types.Oid)
	f.plain("obj_description", types.String, types.Oid, types.String)
	f.plain("shobj_description", types.String, types.Oid, types.String)
	f.plain("format_type", types.String, types.Oid, types.Int)
	f.plain("pg_get_indexdef", types.String, types.Oid)
	f.plain("pg_get_constraintdef", types.String, types.Oid)
	f.plain("pg_get_expr", types.String, types.String, types.Oid)
	f.plain("pg_get_userbyid", types.Name, types.Oid)
	f.plain("pg_get_serial_sequence", types.String, types.String, types.String)
	f.plain("pg_table_is_visible", types.Bool, types.Oid)
	f.plain("pg_backend_pid", types.Int)
	f.plain("pg_is_in_recovery", types.Bool)
	f.plain("to_regclass", types.RegClass, types.String)
	f.plain("txid_current", types.Int)
	f.plain("nextval", types.Int, types.String)
	f.plain("setval", types.Int, types.String, types.Int)
	f.plain("setval", types.Int, types.String, types.Int, types.Bool)
	for _, name := range []string{"has_database_privilege", "has_schema_privilege", "has_table_privilege"} {
		for _, object := range []*types.T{types.String, types.Oid} {
			f.plain(name, types.Bool, object, types.String)
			f.plain(name, types.Bool, types.String, object, types.String)
			f.plain(name, types.Bool, types.Oid, object, types.String)
		}
	}
	f.with("crdb_internal.tenant_span_stats",
		&tree.Overload{Class: tree.GeneratorClass, Types: list([]*types.T{types.Int, types.Int}),
			ReturnType: tree.FixedReturnType(spanStats)})
	f.with("crdb_internal.tenant_span_stats", &tree.Overload{Class: tree.GeneratorClass, Types: list([]*types.T{types.Int}),
		ReturnType: tree.FixedReturnType(spanStats)})
}

// spanStats is a row of crdb_internal.tenant_span_stats.
var spanStats = types.MakeLabeledTuple(
	[]*types.T{types.Int, types.Int, types.Int, types.Int, types.Int, types.Int, types.Float},
	[]string{"database_id", "table_id", "range_count", "approximate_disk_bytes", "live_bytes", "total_bytes", "live_percentage"})

func (f functions) sets() {
	count := &tree.Overload{Class: tree.AggregateClass, ReturnType: tree.FixedReturnType(types.Int), CalledOnNullInput: true}
	one, none := *count, *count
	one.Types, none.Types = list([]*types.T{types.AnyElement}), tree.ParamTypes{}
	f.with("count", &one)
	f.with("count", &none) // count(*)
	for _, name := range []string{"bool_or", "bool_and", "every"} {
		f.aggregate(name, types.Bool, types.Bool)
	}
	for _, name := range []string{"min", "max"} {
		for _, t := range types.Scalar {
			f.aggregate(name, t, t)
		}
	}
	f.with("array_agg",
		&tree.Overload{Class: tree.AggregateClass, Types: list([]*types.T{types.AnyElement}), CalledOnNullInput: true,
			ReturnType: tree.ArrayOfFirstNonNullReturnType()})
	f.add(tree.GeneratorClass, "unnest", unnested, tree.VariadicType{VarType: types.AnyArray})
	f.add(tree.GeneratorClass, "generate_series", tree.FixedReturnType(types.Int), list([]*types.T{types.Int, types.Int}))
	f.add(tree.GeneratorClass, "generate_series", tree.FixedReturnType(types.Int), list([]*types.T{types.Int, types.Int, types.Int}))
	f.add(tree.NormalClass, "cardinality", tree.FixedReturnType(types.Int), list([]*types.T{types.AnyArray}))
	f.add(tree.NormalClass, "array_length", tree.FixedReturnType(types.Int), list([]*types.T{types.AnyArray, types.Int}))
	f.plain("array_to_string", types.String, types.AnyArray, types.String)
	for _, name := range []string{"row_number", "rank", "dense_rank"} {
		f.add(tree.WindowClass, name, tree.FixedReturnType(types.Int), tree.ParamTypes{})
	}
}

// unnested is the row of unnest: an element of each array.
func unnested(args []tree.TypedExpr) *types.T {
	if len(args) == 0 {
		return tree.UnknownReturnType
	}
	all := make([]*types.T, len(args))
	for i, arg := range args {
		typ := arg.ResolvedType()
		if typ.Family() != types.ArrayFamily {
			return tree.UnknownReturnType
		}
		all[i] = typ.ArrayContents()
	}
	if len(all) == 1 {
		return all[0]
	}
	return types.MakeTuple(all)
}
