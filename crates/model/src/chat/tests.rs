//! Tests of templates and built-in formats on the tiny Apertus tokenizer.

use std::time::{Duration, UNIX_EPOCH};

use fontes_core::Segment;
use proptest::prelude::*;

use super::*;

fn tokenizer() -> TextTokenizer {
    let json = include_bytes!("../../../../tests/fixtures/apertus/tiny/tokenizer.json");
    let mut tokenizer = TextTokenizer::from_json(json).unwrap();
    tokenizer.set_begin_token(1, true);
    tokenizer.set_end_tokens(vec![2, 68]);
    tokenizer
}

fn conversation() -> Vec<Message> {
    vec![Message::text(Role::System, "be brief"), Message::text(Role::User, "who?")]
}

/// The prompt as text, control tokens by name.
fn written(tokenizer: &TextTokenizer, tokens: &[TokenId]) -> String {
    use fontes_core::Vocabulary as _;
    let bytes = |&id: &TokenId| match tokenizer.control_text(id) {
        Some(control) => control.as_bytes().to_vec(),
        None => tokenizer.token_bytes(id).unwrap().to_vec(),
    };
    String::from_utf8(tokens.iter().flat_map(bytes).collect()).unwrap()
}

fn render(format: &ChatFormat, messages: &[Message], options: ChatOptions) -> Result<String, ChatError> {
    let tokenizer = tokenizer();
    Ok(written(&tokenizer, &format.prompt(&tokenizer, messages, options)?.tokens))
}

fn jinja(source: &str) -> ChatFormat {
    ChatFormat::Template(Box::new(Template::compile(source, &tokenizer()).unwrap()))
}

#[test]
fn apertus_is_written_as_its_report_says() {
    assert_eq!(Builtin::of(&tokenizer()), Builtin::Apertus);
    let format = ChatFormat::Builtin(Builtin::Apertus);
    assert_eq!(
        render(&format, &conversation(), ChatOptions::default()).unwrap(),
        "<s><|system_start|>be brief<|system_end|><|developer_start|>Deliberation: disabled\n\
         Tool Capabilities: disabled<|developer_end|><|user_start|>who?<|user_end|><|assistant_start|>"
    );
    let thinking = ChatOptions { thinking: true, now: None };
    assert!(render(&format, &conversation(), thinking).unwrap().contains("Deliberation: enabled\nTool"));
}

#[test]
fn a_template_gets_the_usual_surroundings() {
    let source = "{{ bos_token }}{%- for m in messages %}\n    {% if m.role.startswith('sys') %}\n[{{ m['content'] | trim }}]\n    {% else %}\n{{ m.role.upper() }}:{{ m.content.strip() }}\n    {% endif %}\n{%- endfor %}{% if add_generation_prompt and not enable_thinking %}A{{ eos_token }}{{ {'a': [1, '<']} | tojson }}{% endif %}";
    let text = render(&jinja(source), &conversation(), ChatOptions::default()).unwrap();
    assert_eq!(text, "<s>[be brief]\nUSER:who?\nA</s>{\"a\": [1, \"<\"]}");
}

#[test]
fn a_template_that_doubles_or_forgets_the_beginning_is_put_right() {
    for source in ["{{ messages[0].content }}", "<s>{{ messages[0].content }}", "<s><s>{{ messages[0].content }}"] {
        let messages = [Message { role: Role::User, content: vec![Segment { text: "hi".into(), passage: Some(0) }] }];
        let prompt = jinja(source).prompt(&tokenizer(), &messages, ChatOptions::default()).unwrap();
        assert_eq!(written(&tokenizer(), &prompt.tokens), "<s>hi", "{source}");
        assert_eq!(prompt.passages, [(0, 1..prompt.tokens.len())], "{source}");
    }
}

#[test]
fn a_template_without_a_system_role_gets_the_words_in_the_question() {
    let source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}({{ m.role }}){{ m.content }}{% endfor %}";
    let text = render(&jinja(source), &conversation(), ChatOptions::default()).unwrap();
    assert_eq!(text, "<s>(user)be brief\n\nwho?");
}

#[test]
fn dates_come_from_the_caller() {
    let source =
        "{{ messages[0].content }}{% if strftime_now is defined %}{{ strftime_now('%A %d %b %Y') }}{% endif %}";
    let messages = [Message::text(Role::User, "x")];
    assert_eq!(render(&jinja(source), &messages, ChatOptions::default()).unwrap(), "<s>x");
    let leap_day = UNIX_EPOCH + Duration::from_secs(1_709_164_800);
    let options = ChatOptions { thinking: false, now: Some(leap_day) };
    assert_eq!(render(&jinja(source), &messages, options).unwrap(), "<s>xThursday 29 Feb 2024");
}

#[test]
fn hostile_and_broken_templates_end_in_errors() {
    let messages = [Message::text(Role::User, "x")];
    let endless =
        "{% for a in range(10000) %}{% for b in range(10000) %}{{ messages[0].content }}{% endfor %}{% endfor %}";
    let recursive = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    for source in [endless, recursive, "{{ raise_exception('no') }}", "{{ messages[0].content.nonsense() }}"] {
        let error = render(&jinja(source), &messages, ChatOptions::default()).unwrap_err();
        assert!(matches!(error, ChatError::Render(_)), "{source}: {error}");
    }
    let dropped = render(&jinja("hello"), &messages, ChatOptions::default()).unwrap_err();
    assert!(matches!(dropped, ChatError::Dropped { message: 1 }));
    let cut = render(&jinja("{{ messages[0].content[:12] }}"), &messages, ChatOptions::default()).unwrap_err();
    assert!(matches!(cut, ChatError::Dropped { message: 1 }));
    assert!(matches!(Template::compile("{% if %}", &tokenizer()), Err(ChatError::Syntax(_))));
    assert!(matches!(render(&jinja("x"), &[], ChatOptions::default()), Err(ChatError::Empty)));
}

#[test]
fn training_marks_are_ignored() {
    let source = "{% generation %}{{ messages[0].content }}{%- endgeneration -%}";
    assert_eq!(render(&jinja(source), &[Message::text(Role::User, "x")], ChatOptions::default()).unwrap(), "<s>x");
}

#[test]
fn passages_know_their_tokens() {
    let segment = |text: &str, passage| Segment { text: text.into(), passage };
    let messages = [Message {
        role: Role::User,
        content: vec![
            segment("[1] ", None),
            segment("the end of the line", Some(0)),
            segment("\n[2] ", None),
            segment("another line", Some(1)),
            segment("\nwho?", None),
        ],
    }];
    let (tokenizer, format) = (tokenizer(), ChatFormat::Builtin(Builtin::Apertus));
    let prompt = format.prompt(&tokenizer, &messages, ChatOptions::default()).unwrap();
    let [(0, first), (1, second)] = &prompt.passages[..] else { panic!("{:?}", prompt.passages) };
    assert_eq!(written(&tokenizer, &prompt.tokens[first.clone()]).trim(), "the end of the line");
    assert_eq!(written(&tokenizer, &prompt.tokens[second.clone()]).trim(), "another line");
}

/// The engine counts columns in sixteen bits, and panicked.
#[test]
fn a_line_longer_than_the_engine_counts_is_an_error() {
    let source = format!("{{{{ bos_token }}}}{}{{{{ 1 }}}}", "x".repeat(1 << 16));
    assert!(matches!(Template::compile(&source, &tokenizer()), Err(ChatError::Syntax(_))));
}

proptest! {
    #[test]
    fn contents_never_change_the_shape_of_a_conversation(
        question in "(<\\|user_end\\|>|<\\|assistant_start\\|>|</s>|\\{\\{ 7 \\}\\}|FONTES|[a-z ]|\\PC){0,12}"
    ) {
        let tokenizer = tokenizer();
        let template = jinja("<s>{% for m in messages %}<|user_start|>{{ m.content }}<|user_end|>{% endfor %}<|assistant_start|>");
        for format in [ChatFormat::Builtin(Builtin::Apertus), template] {
            let controls = |text: &str| {
                let messages = [Message::text(Role::User, text)];
                let prompt = format.prompt(&tokenizer, &messages, ChatOptions::default()).unwrap();
                let controls: Vec<TokenId> =
                    prompt.tokens.iter().copied().filter(|&id| tokenizer.is_control(id)).collect();
                (controls, written(&tokenizer, &prompt.tokens))
            };
            let (shape, text) = controls(&question);
            prop_assert_eq!(shape, controls("x").0);
            prop_assert!(text.contains(&question));
        }
    }
}
