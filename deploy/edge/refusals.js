/* The shop's own words (tests/edge/test_worker.py compares them). %s is the method, or the type. */
export default {
    bad_pass: {
        status: 403,
        en: 'This form is too old or was altered. Please open the product again.',
        'zh-hans': '该表单已过期或被改动，请重新打开商品页。',
    },
    method_not_allowed: {
        status: 405,
        en: 'Method "%s" not allowed.',
        'zh-hans': '方法 “%s” 不被允许。',
    },
    too_large: {
        status: 413,
        en: 'That is too much at once: at most 64.0\u00a0KB are taken.',
        'zh-hans': '一次提交的内容过多，最多 64.0\u00a0KB。',
    },
    unsupported_media_type: {
        status: 415,
        en: 'Unsupported media type "%s" in request.',
        'zh-hans': '不支持请求中的媒体类型 “%s”。',
    },
};
