/** Chat templates of our own that use what the templates of real models use. */

/** In the manner of Llama 3: a date that the template asks for, a system message taken out, a macro-free loop, trimmed contents. */
export const dated = `{{- bos_token }}
{%- if tools is none %}{% set extra = '' %}{% else %}{% set extra = 'Tools.' %}{% endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}
    {%- else %}{%- set date_string = 'never' %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|system|>\\n' + 'Today: ' + date_string + ' / ' + strftime_now('%A, %-d %B %Y %H:%M %%') + '\\n' + extra + system_message + '</s>' }}
{%- for message in messages %}
    {{- '<|' + message['role'] + '|>\\n' + message['content'] | trim + '</s>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}`

/** In the manner of Qwen: namespaces, a reversed walk, thoughts cut out of earlier turns, `loop`, string methods. */
export const thinking = `{%- set ns = namespace(last=messages|length - 1, found=false) %}
{%- for message in messages[::-1] %}
    {%- set index = messages|length - 1 - loop.index0 %}
    {%- if not ns.found and message.role == 'user' and not (message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.found = true %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- macro turn(role, content) -%}[{{ role }}]{{ content }}[/]{%- endmacro %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- if loop.index0 > ns.last and thought %}{%- set content = '(' ~ thought ~ ') ' ~ content %}{%- endif %}
    {%- endif %}
    {{- turn(message.role, content) }}
    {%- if not loop.last %}{{ '\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '\\n[assistant]' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>' }}{%- endif %}
{%- endif %}`
