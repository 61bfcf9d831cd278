// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl graft check: what the module will say of a graft, without a module.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft.h"

#define INSERTED "\033[33m"
#define SOURCE "\033[2m"
#define RECORD "\033[36m"
#define PLAIN "\033[0m"

/**
 * struct listing - a listing on its way
 * @line: the line of source that was shown last
 * @records: of the certificate, an object by slot; NULL: not to be shown
 * @colour: may the output have colours?
 * @array: JSON: where the rows go
 */
struct listing {
	const struct exo_graft_line *line;
	const cJSON *records;
	bool colour;
	cJSON *array;
};

/* A record of the certificate: { "slot": text }. */
static void add_record(uint32_t slot, const char *text, void *ctx)
{
	char name[16];

	snprintf(name, sizeof(name), "%" PRIu32, slot);
	cJSON_AddStringToObject(ctx, name, text);
}

static void list_record(const struct listing *listing, const struct exo_graft_listing *row)
{
	const cJSON *record;
	char name[16];

	snprintf(name, sizeof(name), "%" PRIu32, row->origin);
	record = cJSON_GetObjectItem(listing->records, name);
	if (record && !row->inserted && !row->second)
		printf("%s  holds:  %s%s\n", listing->colour ? RECORD : "",
		       record->valuestring[0] ? record->valuestring : "nothing",
		       listing->colour ? PLAIN : "");
}

static bool same_line(const struct exo_graft_line *a, const struct exo_graft_line *b)
{
	return a == b || (a && b && a->line == b->line && !strcmp(a->file, b->file));
}

static void list_text(const struct exo_graft_listing *row, void *ctx)
{
	struct listing *listing = ctx;
	const char *mark = row->inserted ? "+" : " ";

	if (row->line && row->line->text && !same_line(row->line, listing->line))
		printf("%s%5" PRIu32 "  ; %s%s\n", listing->colour ? SOURCE : "", row->line->line,
		       row->line->text, listing->colour ? PLAIN : "");
	if (row->line)
		listing->line = row->line;
	if (listing->records)
		list_record(listing, row);
	if (!row->second)
		printf("%s%s %6" PRIu32 ": %s%s\n", row->inserted && listing->colour ? INSERTED : "",
		       mark, row->slot, row->text, row->inserted && listing->colour ? PLAIN : "");
}

static void list_json(const struct exo_graft_listing *row, void *ctx)
{
	struct listing *listing = ctx;
	cJSON *object;

	if (row->second)
		return;
	object = cJSON_CreateObject();
	cJSON_AddNumberToObject(object, "slot", row->slot);
	cJSON_AddStringToObject(object, "text", row->text);
	cJSON_AddBoolToObject(object, "inserted", row->inserted);
	if (!row->inserted)
		cJSON_AddNumberToObject(object, "origin", row->origin);
	if (row->line)
		cJSON_AddNumberToObject(object, "line", row->line->line);
	cJSON_AddItemToArray(listing->array, object);
}

static void add_code(cJSON *object, const char *name, struct exo_graft_object *graft, uint32_t mode)
{
	struct listing listing = { .array = cJSON_AddArrayToObject(object, name) };

	exo_graft_disassemble(graft, mode, list_json, &listing);
}

static void print_code(const char *title, struct exo_graft_object *graft, uint32_t mode)
{
	struct listing listing = { .colour = exoctl_colour() };
	cJSON *records = NULL;

	if (mode == EXO_GRAFT_PROOF) {
		records = cJSON_CreateObject();
		exo_graft_certificate(graft, add_record, records);
		listing.records = records;
	}
	printf("\n%s\n", title);
	exo_graft_disassemble(graft, mode, list_text, &listing);
	cJSON_Delete(records);
}

static void print_json(const struct graft_request *req, struct exo_graft_object *graft,
		       const struct exo_graft_verdict *verdict, const char *error)
{
	const struct exo_graft_parts *parts = exo_graft_object_parts(graft);
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "name", parts->name);
	cJSON_AddStringToObject(object, "hook", exo_graft_hook_name(parts->hook));
	cJSON_AddNumberToObject(object, "instructions", parts->nr_insns);
	cJSON_AddNumberToObject(object, "constants", parts->const_size);
	cJSON_AddNumberToObject(object, "state", parts->state_size);
	cJSON_AddNumberToObject(object, "stack", verdict->stack);
	cJSON_AddBoolToObject(object, "accepted", verdict->decoded);
	cJSON_AddBoolToObject(object, "proved", verdict->proved);
	if (error[0])
		cJSON_AddStringToObject(object, "error", error);
	if (verdict->decoded) {
		cJSON_AddNumberToObject(object, "budget", verdict->budget);
		cJSON_AddNumberToObject(object, "sandbox_instructions", verdict->sandbox_len);
	}
	if (verdict->proved) {
		cJSON_AddBoolToObject(object, "mixed", verdict->mixed);
		cJSON_AddNumberToObject(object, "barriers", verdict->barriers);
		cJSON_AddNumberToObject(object, "proof_instructions", verdict->proof_len);
		cJSON_AddNumberToObject(object, "certificate", (double)verdict->cert_size);
		if (verdict->worst == ~0ULL)
			cJSON_AddNullToObject(object, "worst");
		else
			cJSON_AddNumberToObject(object, "worst", (double)verdict->worst);
	}
	if (req->code && verdict->proved) {
		exo_graft_certificate(graft, add_record, cJSON_AddObjectToObject(object, "records"));
		add_code(object, "proof", graft, EXO_GRAFT_PROOF);
	}
	if (req->code && verdict->decoded && (req->sandbox || !verdict->proved))
		add_code(object, "sandbox", graft, EXO_GRAFT_SANDBOX);
	exoctl_print_json(object, false);
}

static void print_proved(const struct exo_graft_verdict *verdict, uint32_t nr_insns)
{
	printf("proved: nothing is checked while it runs");
	if (verdict->mixed)
		printf(" but its budget, at its backward jumps and calls");
	printf("\n  certificate    %" PRIu64 " bytes (%.1f an instruction)\n",
	       (uint64_t)verdict->cert_size, (double)verdict->cert_size / nr_insns);
	if (verdict->worst == ~0ULL)
		printf("  worst case     not known; at %" PRIu32 " it is aborted\n", verdict->budget);
	else
		printf("  worst case     %" PRIu64 " of the hook's budget of %" PRIu32 "\n",
		       (uint64_t)verdict->worst, verdict->budget);
	printf("  speculation    %" PRIu32 " barrier%s\n", verdict->barriers,
	       verdict->barriers == 1 ? "" : "s");
	printf("  instructions   %" PRIu32 ", %" PRIu32 " as they run\n", nr_insns,
	       verdict->proof_len);
}

static void print_text(const struct graft_request *req, struct exo_graft_object *graft,
		       const struct exo_graft_verdict *verdict, const char *error)
{
	const struct exo_graft_parts *parts = exo_graft_object_parts(graft);

	printf("%s: hook \"%s\", %" PRIu32 " instructions, %" PRIu32 " bytes of constants, %" PRIu32
	       " of state, %" PRIu32 " of stack\n", parts->name, exo_graft_hook_name(parts->hook),
	       parts->nr_insns, parts->const_size, parts->state_size, verdict->stack);
	if (!verdict->decoded)
		printf("refused: %s\n", error);
	else if (verdict->proved)
		print_proved(verdict, parts->nr_insns);
	else
		printf("not proved: %s\n", error);
	if (verdict->decoded && verdict->sandbox_len)
		printf("%s %" PRIu32 " instructions with its checks\n",
		       verdict->proved ? "  sandbox       " : "It runs in the sandbox, as",
		       verdict->sandbox_len);
	else if (verdict->decoded)
		printf("  sandbox        too long; it would be interpreted\n");
	if (!verdict->decoded) {
		print_code("as it was written:", graft, 0);
		return;
	}
	if (req->code && verdict->proved)
		print_code("in proof mode (+: inserted; holds: what the certificate says of the next "
			   "instruction):", graft, EXO_GRAFT_PROOF);
	if (req->code && (req->sandbox || !verdict->proved))
		print_code("in the sandbox (+: inserted):", graft, EXO_GRAFT_SANDBOX);
}

static int save(const struct graft_request *req, const struct exo_graft_object *graft,
		const struct exo_graft_verdict *verdict)
{
	int ret;

	if (!req->out || !verdict->proved)
		return EXOCTL_OK;
	ret = exo_graft_save(graft, req->file, req->out);
	return ret ? exoctl_fail("can't write %s: %s", req->out, strerror(-ret)) : EXOCTL_OK;
}

int graft_check(const struct graft_request *req)
{
	struct exo_graft_verdict verdict;
	struct exo_graft_object *graft;
	char error[512] = "";
	int ret = graft_open(req, &graft);

	if (ret)
		return ret;
	ret = exo_graft_verify(graft, &verdict);
	if (ret) {
		exo_graft_close(graft);
		return exoctl_fail_errno(ret, "can't check %s", req->file);
	}
	exo_graft_error_text(graft, &verdict.error, error, sizeof(error));
	if (req->json)
		print_json(req, graft, &verdict, error);
	else
		print_text(req, graft, &verdict, error);
	ret = save(req, graft, &verdict);
	if (!ret)
		ret = !verdict.decoded ? EXOCTL_FAILED :
		      verdict.proved ? EXOCTL_OK : EXOCTL_PARTLY;
	exo_graft_close(graft);
	return ret;
}
